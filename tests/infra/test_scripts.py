"""The steps that deploy.sh, azd and the pipelines share, each alone: its patience, its refusals, its remedies."""

import json
import re
from pathlib import Path

import pytest

from tests.infra.shell import NAME, ROOT, Shell, package

pytestmark = pytest.mark.thorough

HOME = f"/subscriptions/00000000-0000-0000-0000-00000000000a/resourceGroups/rg-{NAME}/providers"
APP = f"{HOME}/Microsoft.Web/sites/func-{NAME}"


def test_an_upload_waits_for_rights_and_for_other_deployments(deployed: Shell) -> None:
    deployed.change(refuse_packages=[403, 409, 503])
    done = deployed.run("scripts/publish.sh", APP, package(deployed.home / "next.zip", "bbbbbbbbbbbb"))
    assert done.returncode == 0, done.stderr
    assert [line.strip() for line in done.stdout.splitlines()] == [
        "not taken yet (403), trying again",
        "not taken yet (409), trying again",
        "not taken yet (503), trying again",
        "package bbbbbbbbbbbb is in place",
    ]


@pytest.mark.parametrize(
    ("change", "remedy"),
    [
        ({"refuse_packages": [403] * 9}, "open the app's deployment endpoint to this machine"),
        ({"refuse_packages": [401]}, "az login"),
        ({"refuse_packages": [413]}, "unzip -l"),
        ({"kudu_status": 3}, "its log: https://localhost:"),
        ({"kudu_status": 2}, "its log: https://localhost:"),
    ],
)
def test_an_upload_that_fails_says_what_to_do(deployed: Shell, change: dict[str, object], remedy: str) -> None:
    deployed.change(**change)
    done = deployed.run("scripts/publish.sh", APP, deployed.package)
    assert done.returncode == 1
    assert remedy in done.stderr.partition("remedy: ")[2]


def test_the_token_of_an_upload_is_in_no_argument_and_no_output(deployed: Shell) -> None:
    spy = deployed.home / "bin/curl"
    spy.write_text(f'#!/bin/sh\necho "$@" >> {deployed.home}/curl.txt\nexec /usr/bin/curl "$@"\n')
    spy.chmod(0o755)
    done = deployed.run("scripts/publish.sh", APP, deployed.package)
    assert done.returncode == 0, done.stderr
    seen = (deployed.home / "curl.txt").read_text()
    assert "/api/publish" in seen
    assert "token-for-arm" not in seen + done.stdout + done.stderr


@pytest.mark.parametrize(
    ("change", "remedy"),
    [
        ({"sick": True}, "its first error line names the setting"),
        ({"open_to_strangers": True}, "take it off the network"),
        ({"http_closed": True}, "az webapp auth show"),
        ({"plan": "denied"}, "docs/troubleshooting.md"),
        ({"plan": "failed"}, "docs/troubleshooting.md"),
    ],
)
def test_a_smoke_test_fails_where_it_must_and_says_what_to_do(
    deployed: Shell, change: dict[str, object], remedy: str
) -> None:
    url = f"https://{deployed.cloud['host']}"
    arguments = (
        "scripts/smoke.sh",
        "--url",
        url,
        "--package",
        deployed.package,
        "--secret",
        "kv-orders-prod/orders-db",
    )
    assert deployed.run(*arguments, SMOKE_FUNCTION_KEY="the-function-key").returncode == 0
    deployed.change(**change)
    done = deployed.run(*arguments, SMOKE_FUNCTION_KEY="the-function-key")
    assert done.returncode == 1
    assert remedy in done.stderr.partition("remedy: ")[2]


def test_a_smoke_test_is_not_content_with_the_package_before(deployed: Shell) -> None:
    other = package(deployed.home / "next.zip", "bbbbbbbbbbbb")
    done = deployed.run("scripts/smoke.sh", "--url", f"https://{deployed.cloud['host']}", "--package", other)
    assert done.returncode == 1
    assert "package aaaaaaaaaaaa answers, and not bbbbbbbbbbbb" in done.stderr


def test_a_caller_without_the_role_is_told(deployed: Shell) -> None:
    url = f"https://{deployed.cloud['host']}"
    done = deployed.run(
        "scripts/smoke.sh", "--url", url, "--secret", "kv-orders-prod/orders-db", SMOKE_FUNCTION_KEY="wrong"
    )
    assert "remedy: give it the app role Rotation.Operator" in done.stderr


def test_nothing_is_kept_before_the_first_deployment_and_an_old_file_does_not_pass_for_it(shell: Shell) -> None:
    kept = shell.home / "kept.zip"
    kept.write_text("of another deployment")
    assert shell.run("scripts/keep.sh", NAME, kept).returncode == 0
    assert not kept.exists()


@pytest.fixture
def azd(shell: Shell) -> Shell:
    """azd, as far as the hooks use it: `env set` writes what the next hook is handed."""
    tool = shell.home / "bin/azd"
    tool.write_text(f'#!/bin/sh\n[ "$1 $2" = "env set" ] && printf "%s\\t%s\\n" "$3" "$4" >> {shell.home}/azd.txt\n')
    tool.chmod(0o755)
    shell.environment |= {
        "AZURE_ENV_NAME": NAME,
        "AZURE_LOCATION": "westeurope",
        "KEYTURN_VAULTS": '[{"name": "kv-orders-prod", "resourceGroup": "rg-orders-prod"}]',
    }
    return shell


def set_by_hooks(azd: Shell) -> dict[str, str]:
    return dict(line.split("\t") for line in (azd.home / "azd.txt").read_text().splitlines())


def test_azd_gets_the_rights_and_the_client_id_before_it_provisions_and_no_second_registration(azd: Shell) -> None:
    for _ in range(2):
        done = azd.run("scripts/azd_prepare.sh")
        assert done.returncode == 0, done.stderr
    assert list(azd.cloud["apps"]) == [set_by_hooks(azd)["KEYTURN_CLIENT_ID"]]
    assert isinstance(json.loads(set_by_hooks(azd)["KEYTURN_GRANTS"]), list)


@pytest.mark.parametrize("vaults", ["", "kv-orders-prod"])
def test_azd_stops_before_anything_is_made_where_no_vault_is_named_rightly(azd: Shell, vaults: str) -> None:
    done = azd.run("scripts/azd_prepare.sh", KEYTURN_VAULTS=vaults)
    assert done.returncode == 1
    assert "remedy: azd env set KEYTURN_VAULTS" in done.stderr
    assert azd.calls == []


def test_azd_releases_code_events_and_a_smoke_test_with_the_outputs_of_the_template(
    azd: Shell, deployed: Shell
) -> None:
    cloud = azd.cloud
    del cloud["package"]
    cloud["event_subscriptions"] = {}
    cloud["vaults"]["kv-orders-prod"]["properties"]["enableRbacAuthorization"] = False
    (azd.home / "cloud.json").write_text(json.dumps(cloud))
    outputs = cloud["deployments"][f"keyturn-{NAME}"]["properties"]["outputs"]
    handed = {key.upper(): one["value"] for key, one in outputs.items()}
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in handed.items()}
    (client,) = cloud["apps"]
    more = {"LOCATION": "westeurope", "KEYTURN_CLIENT_ID": client, "KEYTURN_SMOKE_SECRET": "kv-orders-prod/orders-db"}
    done = azd.run("scripts/azd_release.sh", KEYTURN_PACKAGE=str(azd.package), **texts, **more)
    assert done.returncode == 0, done.stderr
    assert set(azd.cloud["event_subscriptions"]) == {f"evgst-kv-orders-prod/keyturn-{NAME}"}
    assert "would be: planned" in done.stdout
    assert "az keyvault set-policy" in done.stdout


def test_azd_down_is_stopped(azd: Shell) -> None:
    done = azd.run("scripts/azd_down.sh")
    assert done.returncode == 1
    assert f"remedy: infra/destroy.sh --name {NAME} --what-if" in done.stderr


def test_what_azd_is_told_to_run_is_there() -> None:
    hooks = re.findall(r"^    run: (\S+)$", (ROOT / "azure.yaml").read_text(), re.MULTILINE)
    assert len(hooks) == 3
    for hook in hooks:
        assert (ROOT / hook).stat().st_mode & 0o100, hook


def test_what_azd_hands_to_the_template_are_parameters_of_the_template() -> None:
    given = re.findall(r"^param (\w+)", (ROOT / "infra/main.bicepparam").read_text(), re.MULTILINE)
    known = re.findall(r"^param (\w+)", (ROOT / "infra/main.bicep").read_text(), re.MULTILINE)
    assert set(given) <= set(known)
    used = re.findall(r"\$\{([A-Z_]+):\?azd", (ROOT / "infra/scripts/azd_release.sh").read_text())
    outputs = set(re.findall(r"^output (\w+)", (ROOT / "infra/main.bicep").read_text(), re.MULTILINE))
    assert set(used) <= outputs | {"AZURE_ENV_NAME"}


def test_each_script_says_how_it_is_called(shell: Shell) -> None:
    takes_arguments = ("keep.sh", "publish.sh", "register_app.sh", "rollback.sh", "smoke.sh", "subscribe.sh")
    for name in (*takes_arguments, "wait_for_function.sh"):
        done = shell.run(f"scripts/{name}")
        assert (done.returncode, done.stdout.split(" ")[0]) == (2, Path(name).name), name
