"""The sample of the local settings starts as it is copied, with only the marked value replaced."""

import json
import re

import pytest

from app.bootstrap import started
from app.settings import HttpAuth, from_environment
from rotation.errors import Misconfigured
from tests.docs.said import ROOT

SAMPLE = json.loads((ROOT / "local.settings.sample.json").read_text())["Values"]
PAGE = (ROOT / "docs" / "using.md").read_text().partition("## On your laptop, against a real vault")[2]
SECTION = PAGE.partition("\n## ")[0]
MARK = re.compile(r"YOUR-[A-Z]+")


def filled() -> dict[str, str]:
    return {name: MARK.sub("kv-mine", value) for name, value in SAMPLE.items()}


def test_what_is_copied_starts_with_the_marked_value_alone_replaced() -> None:
    settings = started("1.25.0", filled(), ROOT).settings
    assert settings.vaults == {"kv-mine": "https://kv-mine.vault.azure.net"}
    assert settings.http_auth is HttpAuth.KEY, "else every call over HTTP is refused"
    assert settings.ledger == ROOT / "laptop-ledger"


def test_what_the_sample_names_beside_the_least_is_what_would_be_taken_without_it() -> None:
    least = {name: filled()[name] for name in ("ROTATION_VAULTS", "ROTATION_LEDGER", "ROTATION_HTTP_AUTH")}
    whole, small = from_environment(filled(), ROOT), from_environment(least, ROOT)
    assert [name for name in type(whole).__annotations__ if getattr(whole, name) != getattr(small, name)] == []


def test_the_sample_names_each_setting_of_ours_and_no_other() -> None:
    ours = set(re.findall(r'"(ROTATION_[A-Z_]+)"', (ROOT / "app" / "settings.py").read_text()))
    assert {name for name in SAMPLE if name.startswith("ROTATION_")} == ours


def test_no_value_holds_prose() -> None:
    assert [value for value in SAMPLE.values() if re.search(r"\s\s|\(|;", value)] == []
    with pytest.raises(Misconfigured):  # as the former sample was
        from_environment(filled() | {"ROTATION_HTTP_AUTH": "entra  (or key)"}, ROOT)


def test_the_page_names_what_is_marked_and_the_command_that_starts_it() -> None:
    assert {mark for value in SAMPLE.values() for mark in MARK.findall(value)} == set(MARK.findall(SECTION))
    assert "func start" in SECTION
    assert "local.settings.sample.json local.settings.json" in SECTION
    assert "AzureWebJobs.sweep.Disabled" in SECTION
    assert SAMPLE["AzureWebJobs.sweep.Disabled"] == "true", "the sweep would rotate whatever is due"
    assert "local.settings.json" in (ROOT / ".gitignore").read_text().splitlines()
    assert "/laptop-ledger/" in (ROOT / ".gitignore").read_text().splitlines()
