"""The steps that deploy.sh and the pipelines share, each alone: its patience, its refusals, its remedies."""

from pathlib import Path

import pytest

from tests.infra.shell import NAME, Shell, package

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
        ({"kudu": [3]}, "its log: https://localhost:"),
        ({"kudu": [2]}, "its log: https://localhost:"),
        ({"kudu": [1, 2, -1]}, "its log: https://localhost:"),
        ({"kudu": [-404]}, "its log: https://localhost:"),
    ],
)
def test_an_upload_that_fails_says_what_to_do(deployed: Shell, change: dict[str, object], remedy: str) -> None:
    deployed.change(**change)
    done = deployed.run("scripts/publish.sh", APP, deployed.package)
    assert done.returncode == 1
    assert remedy in done.stderr.partition("remedy: ")[2]


def test_an_upload_whose_teller_is_gone_after_it_told_is_in_place(deployed: Shell) -> None:
    deployed.change(kudu=[-404, 0, 2, -404])
    done = deployed.run("scripts/publish.sh", APP, deployed.package)
    assert (done.returncode, done.stdout.strip()) == (0, "package aaaaaaaaaaaa is in place")
    assert deployed.cloud["kudu"] == [-404]


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
        ({"to_strangers": 200}, "take it off the network"),
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


@pytest.mark.parametrize(
    "change", [{"to_strangers": 200}, {"to_strangers": 403}, {"to_forgers": 200}, {"to_forgers": 403}]
)
def test_with_app_service_authentication_the_platform_itself_refuses_strangers_and_forgers(
    deployed: Shell, change: dict[str, int]
) -> None:
    """Open at the platform, and closed in the app alone, is one mistake away from being open."""
    arguments = ("scripts/smoke.sh", "--url", f"https://{deployed.cloud['host']}", "--client-id", "some-client")
    done = deployed.run(*arguments)
    assert (done.returncode, done.stdout.count("closed to ")) == (0, 2), done.stderr
    deployed.change(**change)
    done = deployed.run(*arguments)
    assert done.returncode == 1
    assert "take it off the network" in done.stderr


def test_the_token_is_got_before_anything_is_waited_for(deployed: Shell) -> None:
    """A federated assertion ends while the app starts: the release would be taken for a bad one, and rolled back."""
    deployed.change(
        refuse={"account get-access-token --scope": "AADSTS700024: not within its valid time range"}, sick=True
    )
    arguments = (
        "--url",
        f"https://{deployed.cloud['host']}",
        "--secret",
        "kv-orders-prod/orders-db",
        "--client-id",
        "c",
    )
    done = deployed.run("scripts/smoke.sh", *arguments)
    assert (done.returncode, "AADSTS700024" in done.stderr, "/api/health" in done.stderr) == (1, True, False)
    deployed.change(sick=False)
    done = deployed.run("scripts/smoke.sh", *arguments, SMOKE_TOKEN="token-for-api://c/.default")
    assert "would be: planned" in done.stdout, done.stderr


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


def test_each_script_says_how_it_is_called(shell: Shell) -> None:
    takes_arguments = ("keep.sh", "publish.sh", "register_app.sh", "rollback.sh", "smoke.sh", "subscribe.sh")
    for name in (*takes_arguments, "wait_for_function.sh"):
        done = shell.run(f"scripts/{name}")
        assert (done.returncode, done.stdout.split(" ")[0]) == (2, Path(name).name), name


def test_the_templates_are_compiled_first_and_nothing_goes_on_where_they_don_t(shell: Shell) -> None:
    assert shell.run("scripts/compile.sh").returncode == 0
    shell.change(broken_templates=["subscription.bicep"])
    done = shell.deploy()
    assert done.returncode == 1
    assert "BCP037" in done.stderr
    assert "the templates don't compile" in done.stderr
    assert set(shell.calls) == {"version", "account show", "bicep build", "bicep version"}


@pytest.mark.parametrize("older", ["0.9.1", "0.48.99"])
def test_an_older_compiler_is_told_and_blamed_where_it_fails(shell: Shell, older: str) -> None:
    shell.change(bicep=older)
    done = shell.run("scripts/compile.sh")
    assert (done.returncode, f"Bicep {older}" in done.stdout, "az bicep upgrade" in done.stdout) == (0, True, True)
    shell.change(broken_templates=["main.bicep"])
    assert shell.run("scripts/compile.sh").stderr.rstrip().endswith("remedy: az bicep upgrade")


@pytest.mark.parametrize("newer", ["0.49.2", "0.50.0", "1.0.0"])
def test_a_newer_compiler_is_not_told_to_be_upgraded(shell: Shell, newer: str) -> None:
    shell.change(bicep=newer)
    assert "upgrade" not in shell.run("scripts/compile.sh").stdout


def test_an_option_is_no_value_of_the_option_before_it(shell: Shell) -> None:
    done = shell.run("deploy.sh", "--name", NAME, "--client-id", "--smoke-secret", "kv-a/b")
    assert (done.returncode, "--client-id needs a value" in done.stderr) == (1, True)
    assert "--name needs a value" in shell.run("destroy.sh", "--name").stderr
