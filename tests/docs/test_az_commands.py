"""Every `az` command of the pages is one that the Azure CLI has, with options that it takes.

az.json holds what the Azure CLI's own help says of them: names and options, and which of these it wants.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.docs.commands import of, pages

KNOWN: dict[str, Any] = json.loads((Path(__file__).parent / "az.json").read_text())["commands"]
COMMANDS = of("az", pages())


def name_and_options(words: list[str]) -> tuple[str, list[str]]:
    """ "keyvault show" and its options; what comes after a `>` is the shell's."""
    mine = words[1 : words.index(">")] if ">" in words else words[1:]
    first = next((at for at, word in enumerate(mine) if word.startswith(("-", "…"))), len(mine))
    return " ".join(mine[:first]), [word for word in mine[first:] if word.startswith("-")]


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(words)[:60])
def test_a_command_is_one_that_az_has_with_options_that_it_takes(words: list[str]) -> None:
    name, options = name_and_options(words)
    assert name in KNOWN
    assert set(options) <= set(KNOWN[name]["options"].split()), name


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(words)[:60])
def test_a_command_that_is_not_only_named_has_all_that_az_wants(words: list[str]) -> None:
    name, options = name_and_options(words)
    if not options or "…" in words:
        return
    for spellings in KNOWN[name]["required"]:
        assert {*spellings.split(), "--ids", "--id"} & set(options), (name, spellings)


def test_what_is_known_of_az_is_what_the_pages_use_and_no_more() -> None:
    assert {name_and_options(words)[0] for words in COMMANDS} == set(KNOWN)


def test_commands_are_found_in_blocks_in_sentences_and_within_others() -> None:
    names = {name_and_options(words)[0] for words in COMMANDS}
    assert {"keyvault secret set", "storage message clear", "functionapp keys list"} <= names
