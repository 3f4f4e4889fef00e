"""Each `az` command of pages, scripts and what they print is one that the Azure CLI has, with options that it takes."""

import json
from typing import Any

import pytest

from tests.docs.az import TABLE, name_and_options, printed, used
from tests.docs.commands import of, pages
from tests.infra.az.__main__ import COMMANDS as CALLED

KNOWN: dict[str, Any] = json.loads(TABLE.read_text())["commands"]
COMMANDS = [*of("az", pages()), *printed()]


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(words)[:60])
def test_a_command_is_one_that_az_has_with_options_that_it_takes(words: list[str]) -> None:
    name, options = name_and_options(words)
    assert name in KNOWN, "if az has it: python -m tests.docs.az AZ"
    assert set(options) <= set(KNOWN[name]["options"].split()), name


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(words)[:60])
def test_a_command_that_is_not_only_named_has_all_that_az_wants(words: list[str]) -> None:
    name, options = name_and_options(words)
    if not options or "…" in words:
        return
    for spellings in KNOWN[name]["required"]:
        assert {*spellings.split(), "--ids", "--id"} & set(options), (name, spellings)


@pytest.mark.parametrize("name", CALLED)
def test_the_stand_in_for_az_takes_no_option_that_az_does_not(name: str) -> None:
    """What the scripts call is what the stand-in took."""
    assert set(CALLED[name][0].split()) <= set(KNOWN[name]["options"].split())


def test_what_is_known_of_az_is_what_is_used_and_no_more() -> None:
    assert used() == sorted(KNOWN)


def test_commands_are_found_in_blocks_in_sentences_and_within_others() -> None:
    found = {name_and_options(words)[0] for words in of("az", pages())}
    assert {"keyvault secret set", "storage message clear", "identity show"} <= found
    assert {"role assignment delete", "keyvault set-policy", "rest"} <= {name_and_options(one)[0] for one in printed()}
