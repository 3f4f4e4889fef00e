from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from app.bootstrap import load_policy
from app.settings import from_environment
from rotation.passwords import ALPHABETS, CLASSES
from rotation.policy.check import main
from rotation.policy.known import known_names
from rotation.policy.rule_reader import PASSWORD_KEYS
from rotation.rotators import ROTATORS

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {
    "ROTATION_VAULTS": "https://kv-a.vault.azure.net",
    "ROTATION_LEDGER": "file:l",
    "ROTATION_HTTP_AUTH": "key",
}
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
    path.write_text(RULE.replace('"generated"', '"postgres", "oracle"') + "colour = 1\n", "utf-8")
    assert main(["check", str(path)]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    lines = shown.err.splitlines()
    assert [line.split(" ")[0] for line in lines] == [f"{path}:4:"] * 3 + [f"{path}:5:"]
    assert any("postgres, postgres-alternating, " in line for line in lines)


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
    by_turns = {"postgres-alternating", "mysql-alternating", "rabbitmq-alternating"}
    of_servers = {"postgres", "mysql", "redis-user", "rabbitmq"} | by_turns
    assert set(known.needs_slots) == of_servers
    assert set(known.needs_target) == set(ROTATORS) - {"generated", "jwks"}
    assert set(known.takes_turns) == by_turns
    assert set(known.logs_in) == of_servers
    assert known.ports == {
        **dict.fromkeys(("postgres", "postgres-alternating"), (5432, 6432)),
        **dict.fromkeys(("mysql", "mysql-alternating"), (3306,)),
        **dict.fromkeys(("rabbitmq", "rabbitmq-alternating"), (15671, 5671, 5672)),
        "redis-user": (6379, 6380),
    }
    assert set(known.alphabets) == set(ALPHABETS)


@pytest.mark.parametrize("alphabet", ALPHABETS)
def test_what_the_app_starts_with_is_sound_to_the_command(alphabet: str, tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(f'{RULE}password = {{ alphabet = "{alphabet}" }}\n', "utf-8")
    assert main(["check", str(path)]) == 0
    settings = from_environment({**ENVIRONMENT, "ROTATION_POLICY": str(path)}, ROOT)
    assert load_policy(settings).rules[0].terms.password.alphabet == alphabet


@pytest.mark.parametrize("term", ["password = { length = 20 }", 'admin = "secret:pg-admin"', 'tls = "verify-full"'])
def test_a_term_that_does_nothing_for_a_rotator_is_warned_of(
    term: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(f"{RULE}{term}\n", "utf-8")
    assert main(["check", str(path)]) == 0
    key = term.partition(" ")[0]
    said = f"{path}:5: warning: rule 1: `{key}` does nothing for generated, which sets no password at a server\n"
    assert capsys.readouterr().err == said
    path.write_text(
        RULE.replace('"generated"', '"generated", "postgres"')
        + 'targets = ["db.example.com"]\nslots = ["a"]\n'
        + f"{term}\n",
        "utf-8",
    )
    assert main(["check", str(path)]) == 0
    assert "does nothing" not in capsys.readouterr().err


def test_the_alphabets_and_classes_stand_in_the_sample() -> None:
    told = " ".join(line for line in (ROOT / "policy.toml").read_text("utf-8").splitlines() if line.startswith("#"))
    assert not [name for name in (*ALPHABETS, *CLASSES) if f'"{name}"' not in told]


def test_the_page_says_what_a_password_may_be_and_its_example_is_sound(tmp_path: Path) -> None:
    section = (ROOT / "docs" / "using.md").read_text("utf-8").partition("### A server that is particular")[2]
    section = section.partition("\n## ")[0]
    assert re.findall(r"^\| `([a-z]+)`", section, re.MULTILINE) == list(PASSWORD_KEYS)
    assert not [name for name in (*ALPHABETS, *CLASSES) if f"`{name}`" not in section]
    path = tmp_path / "policy.toml"
    path.write_text(RULE + re.findall(r"```toml\n(.*?)```", section, re.DOTALL)[0], "utf-8")
    assert main(["check", str(path)]) == 0


# what a sound policy may mean otherwise than it says

SHARED = """\
[[rule]]
vaults = ["kv-a"]
secrets = ["orders-db-*"]
rotators = ["postgres"]
targets = ["db.example.com"]
slots = ["a", "b"]
"""
NARROW = "narrow it if one secret should own one"
ACCOUNTS = "/subscriptions/s/resourceGroups/g/*"


def warned(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str) -> list[str]:
    path = tmp_path / "policy.toml"
    path.write_text(text, "utf-8")
    assert main(["check", str(path)]) == 0
    shown = capsys.readouterr()
    assert shown.out.endswith(", sound\n")
    return [line.removeprefix(f"{path}:") for line in shown.err.splitlines()]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "secret that matches orders-db-* have any of 2 slots on 1 target: 2 credentials;"),
        ({"slots": '["a"]'}, "orders-db-* have 1 slot on 1 target: 1 credential;"),
        ({"slots": '["a", "b", "a"]'}, "any of 2 slots on 1 target: 2 credentials;"),
        ({"targets": '["x", "y", "z"]'}, "any of 2 slots on any of 3 targets: 6 credentials;"),
        ({"slots": '["*"]', "targets": '["localhost"]'}, "any slot on 1 target: any number of credentials;"),
        ({"targets": f'["{ACCOUNTS}"]'}, "any of 2 slots on any target of a scope: any number of credentials;"),
        ({"secrets": '["*", "!x"]'}, "every secret that matches * have"),
        ({"secrets": '["one", "!x-*", "a*", "b-*-c"]'}, "every secret that matches a* or b-*-c have"),
        ({"rotators": '["generated", "postgres"]'}, "2 credentials;"),
        ({"rotators": '["storage-key"]', "slots": ""}, "any slot on 1 target: any number of credentials;"),
    ],
)  # fmt: skip
def test_a_rule_that_many_secrets_share_is_warned_of_with_its_numbers(
    changes: dict[str, str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (line,) = warned(tmp_path, capsys, changed(changes))
    assert line.startswith("3: warning: rule 1 lets every secret that matches ")
    assert said in line
    assert line.endswith(NARROW)


def test_it_is_warned_of_at_the_first_pattern_that_matches_many(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (line,) = warned(tmp_path, capsys, changed({"secrets": '["one",\n"!x-*",\n"a*",\n"b-*-c"]'}))
    assert line.startswith("5: warning: rule 1 lets every secret that matches a* or b-*-c have")


def changed(changes: dict[str, str]) -> str:
    lines = dict(line.split(" = ") for line in SHARED.splitlines()[1:]) | changes
    return "[[rule]]\n" + "".join(f"{key} = {value}\n" for key, value in lines.items() if value)


@pytest.mark.parametrize(
    "changes",
    [
        {"secrets": '["orders-db", "!x-*"]'},
        {"rotators": '["generated"]'},  # made for the secret itself
        {"secrets": '["orders-db"]', "targets": f'["{ACCOUNTS}"]'},
    ],
)
def test_a_rule_that_gives_no_choice_to_many_is_not_warned_of(
    changes: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert warned(tmp_path, capsys, changed(changes)) == []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("orders", "orders.example.com"),
        ("orders.example.com", "orders"),
        ("o.postgres.database.azure.com", "o.privatelink.postgres.database.azure.com"),
    ],
)
def test_two_names_that_may_be_one_server_are_warned_of(
    one: str, other: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    targets = {"secrets": '["orders-db"]', "targets": f'["x.example.com",\n"{one}",\n"{other}"]'}
    (line,) = warned(tmp_path, capsys, changed(targets))
    assert line.startswith(
        f"7: warning: rule 1: {one} and {other} may be one server, whose roles would have two owners"
    )
    assert line.endswith("; keep the name that the values have")


def test_ports_of_one_server_hide_no_other_name_of_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    targets = '["orders.example.com", "orders.example.com:9",\n"orders"]'
    lines = warned(tmp_path, capsys, changed({"secrets": '["orders-db"]', "targets": targets}))
    assert {line.partition("may be")[0] for line in lines} == {"6: warning: rule 1: orders.example.com and orders "}


@pytest.mark.parametrize(
    "targets",
    ['"orders.example.com", "orders2.example.com"', '"orders", "order"', '"orders.example.com", "orders.example.com:9"',
     '"localhost", "127.0.0.1", "[::1]"', '"example.com", "orders.example.com"', '"10.0.0.1", "10.0.0.10"'],
)  # fmt: skip
def test_two_names_of_two_servers_are_not(targets: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert warned(tmp_path, capsys, changed({"secrets": '["orders-db"]', "targets": f"[{targets}]"})) == []


def test_warnings_come_in_the_order_of_the_lines_and_not_with_mistakes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    both = changed({"targets": '["orders", "orders.example.com"]'})
    assert [line.partition(":")[0] for line in warned(tmp_path, capsys, SHARED + both)] == ["3", "9", "11"]
    turned = "".join([both.splitlines(keepends=True)[at] for at in (0, 1, 3, 4, 2, 5)])
    assert [line.partition(":")[0] for line in warned(tmp_path, capsys, turned)] == ["4", "5"]
    path = tmp_path / "policy.toml"
    path.write_text(SHARED + "colour = 1\n", "utf-8")
    assert main(["check", str(path)]) == 2
    assert "warning: " not in capsys.readouterr().err


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
