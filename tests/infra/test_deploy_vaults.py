"""infra/deploy.sh and azd's hooks look at the vaults first, and tell at the end what is left to do about them."""

import json
from typing import Any

import pytest

from tests.infra.az.vaults import topic, vault
from tests.infra.bicep import INFRA
from tests.infra.shell import NAME, Done, Shell

pytestmark = pytest.mark.thorough

ID = vault("kv-orders-prod")["id"]


def remedies(done: Done) -> list[str]:
    return [line.removeprefix("remedy: ") for line in done.stderr.splitlines() if line.startswith("remedy: ")]


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"vaults": {}}, "correct its name"),
    ({"vaults": {"kv-orders-prod": vault("kv-orders-prod", "rg-b")}}, "resourceGroup: 'rg-b'"),
    ({"vaults": {"kv-orders-prod": vault("kv-orders-prod", publicNetworkAccess="Disabled")}}, "give `network`"),
    ({"topics": {"t": topic(ID, "theirs")}}, "topicName: 'theirs'"),
    ({"refuse": {"keyvault list --": "AuthorizationFailed"}}, "Reader"),
    ({"refuse": {"keyvault show": "AuthorizationFailed"}}, "Reader"),
    ({"refuse": {"eventgrid system-topic list": "AuthorizationFailed"}}, "Reader"),
    ({"refuse": {"bicep build-params": "Error BCP033: Expected a value of type"}}, "mend what the lines above name"),
]


@pytest.mark.parametrize("what_if", [(), ("--what-if",)])
@pytest.mark.parametrize(("change", "remedy"), WRONG)
def test_a_vault_that_is_not_as_asked_stops_it_before_anything_is_made(
    shell: Shell, change: dict[str, Any], remedy: str, what_if: tuple[str, ...]
) -> None:
    shell.change(**change)
    done = shell.deploy(*what_if)
    assert done.returncode == 1
    (told,) = remedies(done)
    assert remedy in told
    assert shell.changing_calls == []
    assert "== 4/10" not in done.stdout


def test_what_lets_the_app_into_a_vault_with_access_policies_is_printed_at_the_end(shell: Shell) -> None:
    shell.change(vaults={"kv-orders-prod": vault("kv-orders-prod", enableRbacAuthorization=False)})
    done = shell.deployed()
    assert "warning: vault kv-orders-prod decides by access policies" in done.stdout
    assert (
        "az keyvault set-policy --name kv-orders-prod --object-id 00000000-0000-0000-0000-0000000000ff "
        "--secret-permissions get list set" in done.stdout.partition("== deployed")[2]
    )


def other_vault(shell: Shell) -> None:
    """The deployment before had one more."""
    name = f"keyturn-{NAME}-subscription"
    deployments = shell.cloud["deployments"]
    account = ID.split("/")[2]
    gone = {"vault": "kv-gone", "name": "evgst-kv-gone", "subscriptionId": account, "resourceGroup": "rg-gone"}
    deployments[name]["properties"]["parameters"]["topics"]["value"].append(gone)
    shell.change(deployments=deployments)


def test_what_stays_of_a_vault_that_left_is_printed_and_nothing_of_it_is_touched(deployed: Shell) -> None:
    assert "has left" not in deployed.deployed("--what-if").stdout
    other_vault(deployed)
    told = deployed.deployed("--what-if").stdout
    assert "kv-gone has left" in told
    done = deployed.deployed()
    end = done.stdout.partition("== deployed")[2]
    assert "PRINCIPAL=00000000-0000-0000-0000-0000000000ff\n# kv-gone has left" in end
    assert "--scope " + ID.replace("rg-orders-prod", "rg-gone").replace("kv-orders-prod", "kv-gone") in end
    assert not [call for call in deployed.changing_calls if call.endswith("delete")]
    assert "has left" not in deployed.deployed().stdout


def test_azd_looks_before_it_provisions_and_tells_the_same_after(shell: Shell) -> None:
    tool = shell.home / "bin/azd"
    tool.write_text("#!/bin/sh\n")
    tool.chmod(0o755)
    asked = [{"name": "kv-orders-prod", "resourceGroup": "rg-b"}]
    shell.environment |= {"AZURE_ENV_NAME": NAME, "AZURE_LOCATION": "westeurope", "KEYTURN_VAULTS": json.dumps(asked)}
    done = shell.run("scripts/azd_prepare.sh")
    assert done.returncode == 1
    assert "resourceGroup: 'rg-orders-prod'" in done.stderr
    assert shell.changing_calls == []


def test_a_private_network_takes_a_provider_that_is_registered(shell: Shell) -> None:
    """The example's vaults, in the subscriptions that it names."""
    shell.parameters = INFRA / "enterprise.bicepparam"
    billing = vault("kv-billing-prod", "rg-billing-prod", "11111111-1111-1111-1111-111111111111")
    vaults = [vault("kv-orders-prod"), billing | {"location": "northeurope"}, vault("kv-shared-prod", "rg-shared-prod")]
    shell.change(vaults={one["name"]: one for one in vaults}, topics={"t": topic(billing["id"], "evgst-billing")})
    done = shell.deploy()
    assert remedies(done) == ["az provider register --namespace Microsoft.App --wait"]
    assert shell.changing_calls == []
    shell.change(provider="Registered")
    shell.deployed()
    assert set(shell.cloud["event_subscriptions"]) == {
        f"{topic}/keyturn-{NAME}" for topic in ("evgst-kv-orders-prod", "evgst-billing", "evgst-kv-shared-prod")
    }
