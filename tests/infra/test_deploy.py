"""infra/deploy.sh: the order of its steps, a second run, its first error, and --what-if."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.infra.shell import NAME, POLICY, ROOT, Shell, package

pytestmark = pytest.mark.thorough


def in_order(found: list[str], wanted: list[str]) -> bool:
    rest = iter(found)
    return all(any(one == step for one in rest) for step in wanted)


def test_infrastructure_code_and_events_come_in_this_order(shell: Shell) -> None:
    shell.deployed("--smoke-secret", "kv-orders-prod/orders-db")
    assert in_order(
        shell.calls,
        [
            "version", "account show", "bicep build", "ad app create", "account get-access-token",
            "deployment sub create", "deployment sub show", "rest", "account get-access-token", "rest",
            "deployment sub create",
        ],
    )  # fmt: skip
    tokens = [call for call in shell.arguments if call[:2] == ["account", "get-access-token"]]
    assert ["--scope" in call for call in tokens] == [True, False], "the app's, once, and before a login can end"
    first, second = [call for call in shell.arguments if call[:3] == ["deployment", "sub", "create"]]
    assert f"keyturn-{NAME}" in first
    assert f"keyturn-{NAME}-subscription" in second


def test_what_it_leaves_is_an_app_with_its_code_its_events_and_its_roles(shell: Shell) -> None:
    done = shell.deployed()
    cloud = shell.cloud
    assert cloud["event_subscriptions"] == {f"evgst-kv-orders-prod/keyturn-{NAME}": "CloudEventSchemaV1_0"}
    assert (shell.home / "package-0.zip").read_bytes() == shell.package.read_bytes()
    (app,) = cloud["apps"].values()
    assert {role["value"] for role in app["appRoles"]} == {"Rotation.Reader", "Rotation.Operator"}
    assert app["identifierUris"] == [f"api://{app['appId']}"]
    assert app["api"]["requestedAccessTokenVersion"] == 2
    assert cloud["sps"] == [app["appId"]]
    given = cloud["deployments"][f"keyturn-{NAME}"]["properties"]["parameters"]
    assert given["entraClientId"]["value"] == app["appId"]
    assert "package aaaaaaaaaaaa" in done.stdout
    assert done.stderr.count("error") == 0


def test_a_second_run_changes_nothing(deployed: Shell) -> None:
    before = deployed.cloud
    deployed.deployed()
    after = deployed.cloud
    for cloud in (before, after):
        cloud.pop("package")  # the same bytes, uploaded again
        cloud.pop("looks_until_listed")
    assert after == before
    assert (deployed.home / "package-0.zip").read_bytes() == deployed.package.read_bytes()


@pytest.mark.parametrize("second", [False, True])
def test_what_if_changes_nothing_and_says_what_it_would_do(
    shell: Shell, second: bool, request: pytest.FixtureRequest
) -> None:
    if second:
        request.getfixturevalue("deployed")
    before = (shell.home / "cloud.json").read_bytes()
    done = shell.deployed("--what-if")
    assert (shell.home / "cloud.json").read_bytes() == before
    assert shell.changing_calls == []
    assert "would upload package aaaaaaaaaaaa" in done.stdout
    what_ifs = [call for call in shell.calls if call == "deployment sub what-if"]
    assert len(what_ifs) == (2 if second else 1)


FAILURES = [
    ("deployment sub create --name keyturn-keyturn-test --", "AuthorizationFailed", "User Access Administrator"),
    ("deployment sub show --name keyturn-keyturn-test --", "Gateway", "run this again"),
    ("account get-access-token", "AADSTS700082: The refresh token has expired", "az login"),
    ("deployment sub create --name keyturn-keyturn-test-subscription", "endpoint not found", "wait a minute"),
    ("ad app create", "Insufficient privileges to complete the operation.", "--client-id"),
    ("ad sp create", "Insufficient privileges to complete the operation.", "Application Administrator"),
]


@pytest.mark.parametrize(("command", "said", "remedy"), FAILURES)
def test_it_stops_at_the_first_error_with_the_remedy(shell: Shell, command: str, said: str, remedy: str) -> None:
    shell.change(refuse={command: said})
    done = shell.deploy()
    assert done.returncode == 1
    (told,) = [line for line in done.stderr.splitlines() if line.startswith("remedy: ")]
    assert remedy in told
    assert " ".join(shell.arguments[-1]).startswith(command.partition(" --")[0]), "it went on after the error"
    assert "== deployed" not in done.stdout


@pytest.mark.parametrize(("command", "said", "_remedy"), FAILURES[3:])
def test_after_the_cure_the_same_command_goes_through(shell: Shell, command: str, said: str, _remedy: str) -> None:
    shell.change(refuse={command: said})
    assert shell.deploy().returncode == 1
    shell.change(refuse={})
    shell.deployed()
    assert len(shell.cloud["apps"]) == 1, "a second app registration"


def test_nothing_is_asked_of_azure_where_the_policy_is_wrong(shell: Shell) -> None:
    shell.package = package(shell.home / "wrong.zip", "bbbbbbbbbbbb", "[[rule]]\nvaults = []\n")
    done = shell.deploy()
    assert done.returncode == 1
    assert "remedy: mend the line above in policy.toml" in done.stderr
    assert shell.changing_calls == []


@pytest.mark.parametrize("waits", [False, True])
def test_a_rule_that_waits_for_readers_lets_the_app_read_the_audit_log(shell: Shell, waits: bool) -> None:
    lines = POLICY + 'retire = "when-unread"\n' * waits
    shell.package = package(shell.home / "waits.zip", "cccccccccccc", lines)
    shell.deploy("--what-if")
    (planned,) = [call for call in shell.arguments if call[:3] == ["deployment", "sub", "what-if"]]
    assert ("auditReaders=true" in planned) is waits


@pytest.mark.parametrize(
    ("arguments", "remedy"),
    [
        (["--location", "westeurope"], "--help"),
        (["--name", "Not A Name", "--location", "x", "--parameters", "y"], "3 to 17"),
        (["--name", NAME, "--location", "x", "--parameters", "/nowhere"], "small.bicepparam"),
        (["--name"], "--help"),
    ],
)
def test_a_wrong_command_line_is_told_before_anything_is_asked(shell: Shell, arguments: list[str], remedy: str) -> None:
    done = shell.run("deploy.sh", *arguments)
    assert done.returncode in {1, 2}
    assert remedy in done.stderr
    assert shell.calls == []


def test_an_old_az_no_login_and_another_subscription_are_told(shell: Shell) -> None:
    shell.change(version="2.50.0")
    assert "remedy: az upgrade" in shell.deploy().stderr
    shell.change(version="2.80.0", logged_in=False)
    assert "remedy: az login" in shell.deploy().stderr
    shell.change(logged_in=True)
    done = shell.deploy("--subscription", "00000000-0000-0000-0000-0000000000ff")
    assert "remedy: az account set --subscription 00000000-0000-0000-0000-0000000000ff" in done.stderr
    assert shell.changing_calls == []


def test_a_strangers_app_registration_of_the_same_name_is_not_taken(shell: Shell) -> None:
    shell.change(
        apps={
            "x": {
                "appId": "x", "id": "ox", "displayName": f"Keyturn {NAME}", "owners": ["mallory"], "appRoles": [],
                "identifierUris": [], "api": {},
            }
        }
    )  # fmt: skip
    done = shell.deploy()
    assert done.returncode == 1
    assert "not its owner" in done.stderr
    assert shell.changing_calls == []


def test_the_schema_and_the_filters_of_events_can_be_chosen(shell: Shell) -> None:
    shell.deployed("--event", "schema=EventGridSchema", "--event", "subjectBeginsWith=orders-")
    assert shell.cloud["event_subscriptions"] == {f"evgst-kv-orders-prod/keyturn-{NAME}": "EventGridSchema"}
    given = shell.cloud["deployments"][f"keyturn-{NAME}-subscription"]["properties"]["parameters"]
    assert given["subjectBeginsWith"]["value"] == "orders-"
    other = shell.deploy()
    assert other.returncode == 1
    assert "if the schema differs, delete the subscription first" in other.stderr


def test_with_function_keys_no_app_registration_is_made_and_the_key_is_never_shown(shell: Shell) -> None:
    done = shell.deployed("--http-auth", "key", "--smoke-secret", "kv-orders-prod/orders-db")
    assert shell.cloud["apps"] == {}
    assert "a rotation of kv-orders-prod/orders-db would be: planned" in done.stdout
    assert "the-function-key" not in done.stdout + done.stderr + json.dumps(shell.arguments)


def test_code_that_does_not_start_stops_before_the_events(shell: Shell) -> None:
    shell.change(broken_code=True)
    done = shell.deploy()
    assert done.returncode == 1
    assert "does not list near_expiry" in done.stderr
    assert shell.cloud["event_subscriptions"] == {}


def test_without_a_package_it_builds_the_one_of_the_checkout(shell: Shell) -> None:
    done = shell.run(
        "deploy.sh", "--name", NAME, "--location", "westeurope", "--parameters", shell.parameters, "--what-if",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "MB, package " in done.stdout


@pytest.mark.parametrize("script", ["deploy.sh", "destroy.sh"])
def test_help_needs_neither_az_nor_a_login(shell: Shell, script: str) -> None:
    done = shell.run(script, "--help")
    assert done.returncode == 0
    assert done.stdout.startswith(f"infra/{script} --name NAME")
    assert shell.calls == []


def test_shellcheck_finds_nothing() -> None:
    scripts = sorted((ROOT / "infra").rglob("*.sh"))
    assert len(scripts) > 5
    done = subprocess.run(
        [Path(sys.executable).parent / "shellcheck", "--external-sources", "--source-path=SCRIPTDIR", *scripts],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
