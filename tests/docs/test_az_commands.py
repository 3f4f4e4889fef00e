"""Every `az` command of the pages is one that the Azure CLI has, with options that it takes and those that it wants."""

import json
from typing import Any

import pytest

from tests.docs.az import TABLE, name_and_options, shown
from tests.docs.commands import of, pages

KNOWN: dict[str, Any] = json.loads(TABLE.read_text())["commands"]
COMMANDS = of("az", pages())


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


def test_what_is_known_of_az_is_what_the_pages_use_and_no_more() -> None:
    assert shown() == sorted(KNOWN)


def test_commands_are_found_in_blocks_in_sentences_and_within_others() -> None:
    assert {"keyvault secret set", "storage message clear", "functionapp keys list"} <= set(shown())
