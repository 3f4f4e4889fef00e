"""Where a tool that no registry has is looked for, and when it may be missing."""

from pathlib import Path

import pytest

from tests.tools_at_hand import Missing, at_hand, find

SETTING = "SOME_TOOL"


def tool(place: Path, name: str = "some-tool") -> Path:
    place.mkdir(parents=True, exist_ok=True)
    file = place / name
    file.write_text("#!/bin/sh\n")
    file.chmod(0o755)
    return file


def test_the_setting_names_the_tool_or_its_folder_and_wins(tmp_path: Path) -> None:
    told, on_path = tool(tmp_path / "told"), tool(tmp_path / "path")
    for value in (told, told.parent):
        environment = {SETTING: str(value), "PATH": str(on_path.parent)}
        assert find("some-tool", env=SETTING, environment=environment) == told


def test_then_comes_path_and_then_the_folder_beside_the_checkout(tmp_path: Path) -> None:
    beside = tool(tmp_path / "tools" / "some-tool")
    environment = {"PATH": str(tmp_path / "path")}
    assert find("some-tool", env=SETTING, beside=tmp_path / "tools", environment=environment) == beside
    on_path = tool(tmp_path / "path")
    assert find("some-tool", env=SETTING, beside=tmp_path / "tools", environment=environment) == on_path
    flat = tool(tmp_path / "flat", "other-tool")
    assert find("other-tool", env=SETTING, beside=flat.parent, environment={}) == flat


def test_a_setting_that_names_nothing_is_an_error_and_not_a_tool_from_elsewhere(tmp_path: Path) -> None:
    on_path = tool(tmp_path / "path")
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("not to be run")
    for value in ("empty", "file", "nothing"):
        environment = {SETTING: str(tmp_path / value), "PATH": str(on_path.parent)}
        with pytest.raises(Missing, match=SETTING):
            find("some-tool", env=SETTING, environment=environment)


def test_it_may_be_missing_but_where_all_must_be_at_hand(tmp_path: Path) -> None:
    def asked(**environment: str) -> Path | None:
        return at_hand("some-lane", "no-such-tool", env=SETTING, environment=environment)

    assert asked() is None
    with pytest.raises(Missing, match="KEYTURN_WITHOUT=some-lane"):
        asked(KEYTURN_WITH_ALL="1")
    with pytest.raises(Missing):
        asked(KEYTURN_WITH_ALL="1", KEYTURN_WITHOUT="some-lane-else")
    assert asked(KEYTURN_WITH_ALL="1", KEYTURN_WITHOUT="other, some-lane") is None


def test_what_may_be_missing_is_used_where_it_is_at_hand(tmp_path: Path) -> None:
    there = tool(tmp_path)
    environment = {SETTING: str(there), "KEYTURN_WITHOUT": "some-lane"}
    assert at_hand("some-lane", "some-tool", env=SETTING, environment=environment) == there
