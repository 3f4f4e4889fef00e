from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from rotation.policy_check import known_names, main
from rotation.rotators import ROTATORS

ROOT = Path(__file__).parents[2]
RULE = '[[rule]]\nvaults = ["kv-a"]\nsecrets = ["a-*"]\nrotators = ["generated"]\n'


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-m", "rotation.policy", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_a_sound_file_is_said_to_be_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "policy.toml"
    for text, said in [("", "0 rules"), (RULE, "1 rule"), (RULE * 2, "2 rules")]:
        path.write_text(text, "utf-8")
        assert main(["check", str(path)]) == 0
        shown = capsys.readouterr()
        assert (shown.out, shown.err) == (f"{path}: {said}, sound\n", "")


def test_every_mistake_is_one_line_on_stderr_and_the_answer_is_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(RULE.replace('"generated"', '"postgres", "mysql"') + "colour = 1\n", "utf-8")
    assert main(["check", str(path)]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    lines = shown.err.splitlines()
    assert [line.split(" ")[0] for line in lines] == [f"{path}:4:"] * 3 + [f"{path}:5:"]
    assert any("generated, postgres, postgres-alternating" in line for line in lines)


@pytest.mark.parametrize("arguments", [(), ("check",), ("load", "x"), ("check", "x", "y")])
def test_a_wrong_command_is_told_how_it_goes(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert capsys.readouterr().err == "usage: python -m rotation.policy check FILE\n"


def test_a_file_that_is_not_there_is_one_line_and_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(tmp_path / "none.toml")]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert len(shown.err.splitlines()) == 1


def test_the_apps_own_names_are_taken_from_the_app() -> None:
    known = known_names()
    assert set(known.rotators) == set(ROTATORS)
    assert set(known.needs_slots) == {"postgres", "postgres-alternating"}
    assert set(known.needs_target) == set(ROTATORS) - {"generated"}


@pytest.mark.parametrize("name", ["policy.toml", "local/policy.toml"])
def test_the_command_finds_the_files_of_the_app_sound(name: str) -> None:
    done = run("check", name)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{name}: ")
    assert done.stdout.endswith(" rules, sound\n")


def test_the_command_tells_what_is_wrong_by_line_and_ends_with_2(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(RULE + "\ncolour = 1\n", "utf-8")
    done = run("check", str(path))
    assert done.returncode == 2
    assert done.stdout == ""
    assert f"{path}:6: unknown key 'colour'" in done.stderr
    assert "Traceback" not in done.stderr
