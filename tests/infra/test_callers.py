"""infra/give_role.sh and infra/session.sh: who may call a deployed app, and how."""

import json
import subprocess

import pytest

from tests.infra.az.cloud import ME
from tests.infra.shell import NAME, ROOT, Done, Shell

pytestmark = pytest.mark.thorough

ROLES = {one["value"]: one["id"] for one in json.loads((ROOT / "infra/app-roles.json").read_text())}


def in_a_shell(shell: Shell, command: str) -> Done:
    """As an operator types it, in a checkout."""
    return subprocess.run(
        ["bash", "-c", command], env=shell.environment, cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_a_role_is_given_once_to_who_is_logged_in_or_is_named(deployed: Shell) -> None:
    for _ in range(2):
        done = deployed.run("give_role.sh", "--name", NAME)
        assert done.returncode == 0, done.stderr
    assert "has Rotation.Operator of keyturn-test already" in done.stdout
    other = "00000000-0000-0000-0000-0000000000dd"
    assert deployed.run("give_role.sh", "--name", NAME, "--role", "Rotation.Reader", "--to", other).returncode == 0
    assert deployed.cloud["role_holders"] == [
        {"principalId": ME, "resourceId": ME, "appRoleId": ROLES["Rotation.Operator"]},
        {"principalId": other, "resourceId": ME, "appRoleId": ROLES["Rotation.Reader"]},
    ]


@pytest.mark.parametrize(
    ("arguments", "refuse", "remedy"),
    [
        ([], {}, "--help"),
        (["--name", NAME, "--role", "Owner"], {}, "take Rotation.Operator or Rotation.Reader"),
        (["--name", "keyturn-none"], {}, "az account set"),
        (["--name", NAME, "--to", "ada@example.com"], {}, "az ad user show --id"),
        (["--name", NAME], {"deployment sub list": "Forbidden"}, "have Reader on the subscription"),
        (["--name", NAME], {"rest --method post": "Forbidden"}, "Cloud Application Administrator"),
        (["--name", NAME], {"rest --method get --url https://graph": "Forbidden"}, "Directory Readers"),
        (["--name", NAME], {"rest --method get --url /subscriptions": "Forbidden"}, "have Reader on it"),
        (["--name", NAME], {"ad signed-in-user show": "Forbidden"}, "--to ID"),
    ],
)
def test_what_stops_a_role_from_being_given_is_told(
    deployed: Shell, arguments: list[str], refuse: dict[str, str], remedy: str
) -> None:
    deployed.change(refuse=refuse)
    done = deployed.run("give_role.sh", *arguments)
    assert done.returncode == 1
    assert remedy in done.stderr.partition("remedy: ")[2]
    assert done.stderr.count("remedy: ") == 1
    assert deployed.cloud["role_holders"] == []


def test_a_session_has_the_address_and_a_header_that_lets_in(deployed: Shell) -> None:
    (client,) = deployed.cloud["apps"]
    told = in_a_shell(deployed, f'eval "$(infra/session.sh --name {NAME})"; echo "$APP"; echo "$AUTH"')
    assert told.stdout.splitlines() == [
        f"https://{deployed.cloud['host']}",
        f"Authorization: Bearer token-for-api://{client}/.default",
    ]


def test_with_function_keys_a_session_has_the_key_and_no_role_is_given(shell: Shell) -> None:
    shell.deployed("--http-auth", "key")
    told = in_a_shell(shell, f'eval "$(infra/session.sh --name {NAME})"; echo "$AUTH"')
    assert told.stdout.splitlines() == ["x-functions-key: the-function-key"]
    done = shell.run("give_role.sh", "--name", NAME)
    assert done.returncode == 1
    assert "remedy: give out a key: az functionapp keys list" in done.stderr


def test_a_session_that_can_not_be_had_says_why_and_sets_nothing(deployed: Shell) -> None:
    deployed.change(refuse={"account get-access-token": "AADSTS65001: consent is missing"})
    told = in_a_shell(deployed, f'eval "$(infra/session.sh --name {NAME})"; echo "${{APP-unset}}"')
    assert told.stdout == "unset\n"
    assert "remedy: az login --scope api://" in told.stderr
    assert deployed.run("session.sh").returncode == 1


def test_a_session_without_a_key_is_none(shell: Shell) -> None:
    shell.deployed("--http-auth", "key")
    shell.change(function_key=None)
    done = shell.run("session.sh", "--name", NAME)
    assert (done.returncode, done.stdout) == (1, "")
    assert "az functionapp keys list" in done.stderr
