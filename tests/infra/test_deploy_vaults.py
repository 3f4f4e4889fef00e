"""infra/deploy.sh looks at the vaults first, and tells at the end what is left to do about them."""

from pathlib import Path
from typing import Any

import pytest

from tests.infra.az.vaults import topic, vault
from tests.infra.compiled import INFRA
from tests.infra.shell import NAME, POLICY, Done, Shell, package

pytestmark = pytest.mark.thorough

ID = vault("kv-orders-prod")["id"]


def remedies(done: Done) -> list[str]:
    return [line.removeprefix("remedy: ") for line in done.stderr.splitlines() if line.startswith("remedy: ")]


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"vaults": {}}, "correct its name"),
    ({"vaults": {"kv-orders-prod": vault("kv-orders-prod", "rg-b")}}, "resourceGroup: 'rg-b'"),
    ({"vaults": {"kv-orders-prod": vault("kv-orders-prod", publicNetworkAccess="Disabled")}}, "`param network = {}`"),
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


@pytest.mark.parametrize("what_if", [(), ("--what-if",)])
@pytest.mark.parametrize(
    ("schedule", "said"),
    [("0 0 3 * * 7", "0 to 6"), ("0 0 22-2 * * *", "backwards"), ("0 0 0 31 2 *", "never comes"), ("", "six")],
)
def test_a_schedule_that_would_never_sweep_or_another_time_stops_it_before_anything_is_made(
    shell: Shell, schedule: str, said: str, what_if: tuple[str, ...]
) -> None:
    shell.parameters = small_but(shell, f"param sweepSchedule = '{schedule}'")
    done = shell.deploy(*what_if)
    assert done.returncode == 1
    (told,) = [line for line in done.stderr.splitlines() if line.startswith("error: ROTATION_SWEEP_SCHEDULE")]
    assert said in told
    assert "param sweepSchedule" in remedies(done)[0]
    assert shell.changing_calls == []


def test_a_schedule_that_sweeps_is_deployed(shell: Shell) -> None:
    shell.parameters = small_but(shell, "param sweepSchedule = '0 */30 * * * *'")
    assert shell.deploy("--what-if").returncode == 0


def small_but(shell: Shell, line: str) -> Path:
    """The smallest parameter file with one line more."""
    return shell.altered("// Who hears", f"{line}\n// Who hears")


def test_what_lets_the_app_into_a_vault_with_access_policies_is_printed_at_the_end(shell: Shell) -> None:
    shell.change(vaults={"kv-orders-prod": vault("kv-orders-prod", enableRbacAuthorization=False)})
    done = shell.deployed()
    assert "warning: vault kv-orders-prod decides by access policies" in done.stdout
    assert (
        f"az keyvault set-policy --subscription {ID.split('/')[2]} --name kv-orders-prod "
        "--object-id 00000000-0000-0000-0000-0000000000ff --secret-permissions get list set"
    ) in done.stdout.partition("== 9/10")[2].partition("== 10/10")[0]


def test_where_nothing_is_left_for_administrators_it_says_so(shell: Shell) -> None:
    said = shell.deployed().stdout.partition("== 9/10")[2].partition("== 10/10")[0].rstrip()
    assert said.endswith("nothing is left for administrators of the directory, of vaults or of databases to grant")


def test_a_vault_with_access_policies_that_no_rule_names_lets_the_app_in_too(shell: Shell) -> None:
    """The sweep reads each vault of the deployment."""
    shell.package = package(shell.home / "other.zip", "bbbbbbbbbbbb", POLICY.replace("kv-orders-prod", "kv-other"))
    shell.change(vaults={"kv-orders-prod": vault("kv-orders-prod", enableRbacAuthorization=False)})
    assert "--name kv-orders-prod --object-id" in shell.deployed().stdout


def test_a_vault_is_made_where_there_is_none_and_its_name_is_free(shell: Shell) -> None:
    shell.parameters = shell.altered("resourceGroup: 'rg-orders-prod'", "create: true")
    assert "take `create: true` out" in shell.deploy().stderr
    shell.change(vaults={}, deleted_vaults=["kv-orders-prod"])
    (told,) = remedies(shell.deploy())
    assert told.startswith("az keyvault recover --subscription")
    assert shell.changing_calls == []
    shell.change(refuse={"keyvault list-deleted": "AuthorizationFailed"})
    assert "Reader" in remedies(shell.deploy())[0]
    shell.change(deleted_vaults=[], refuse={})
    for _ in range(2):
        shell.deployed()
    assert shell.cloud["vaults"]["kv-orders-prod"]["tags"] == {"keyturn": NAME}


def other_vault(shell: Shell, subscription: str = ID.split("/")[2]) -> str:
    """The deployment before had one more: its id."""
    name = f"keyturn-{NAME}-subscription"
    deployments = shell.cloud["deployments"]
    gone = {"vault": "kv-gone", "name": "evgst-kv-gone", "subscriptionId": subscription, "resourceGroup": "rg-gone"}
    deployments[name]["properties"]["parameters"]["topics"]["value"].append(gone)
    shell.change(deployments=deployments)
    return str(vault("kv-gone", "rg-gone", subscription)["id"])


def test_what_stays_of_a_vault_that_left_is_printed_and_nothing_of_it_is_touched(deployed: Shell) -> None:
    assert "has left" not in deployed.deployed("--what-if").stdout
    gone = other_vault(deployed)
    expected = "PRINCIPAL=00000000-0000-0000-0000-0000000000ff\n# kv-gone has left"
    assert expected in deployed.deployed("--what-if").stdout
    deployed.change(sick=True)
    done = deployed.deploy()
    assert done.returncode == 1, "the smoke test failed, and the record is written anew"
    told = done.stdout.partition("== 9/10")[2]
    assert expected in told
    assert f"--scope {gone}\n" in told
    assert f"delete --subscription {ID.split('/')[2]} --resource-group rg-{NAME} --name pe-kv-gone" in told
    assert not [call for call in deployed.changing_calls if call.endswith("delete")]
    deployed.change(sick=False)
    assert "has left" not in deployed.deployed().stdout


def test_the_right_on_the_last_vault_of_a_subscription_goes_before_the_role_leaves_it(deployed: Shell) -> None:
    gone = other_vault(deployed, "11111111-1111-1111-1111-111111111111")
    right = {"id": f"{gone}/right", "scope": gone, "roleDefinitionName": f"Keyturn secrets ({NAME})"}
    deployed.change(assignments=[right, {**right, "roleDefinitionName": "Reader"}])
    (told,) = remedies(deployed.deploy())
    assert told == f'az role assignment delete --role "Keyturn secrets ({NAME})" --scope {gone}'
    assert deployed.changing_calls == []
    others = deployed.altered("// Who hears", "param createRoles = false // Who hears")
    ours, deployed.parameters = deployed.parameters, others
    assert deployed.deploy("--what-if").returncode == 0, "somebody else makes the roles"
    deployed.parameters = ours
    deployed.change(refuse={"role assignment list": "(AuthorizationFailed) no"})
    assert "Reader" in remedies(deployed.deploy())[0]
    deployed.change(assignments=[{**right, "roleDefinitionName": "Reader"}], refuse={})
    assert "# kv-gone has left" in deployed.deployed().stdout


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


def test_a_resource_group_that_is_there_keeps_its_tags(shell: Shell) -> None:
    group = {"name": f"RG-{NAME}", "location": "westeurope", "tags": {"costCenter": "4711", "keyturn": "old"}}
    shell.change(groups=[group])
    shell.deployed()
    assert shell.passed("resourceGroupTags") == group["tags"]


def test_without_a_group_there_are_no_tags_to_keep(shell: Shell) -> None:
    shell.deployed()
    assert shell.passed("resourceGroupTags") == {}


ASKED = f"rest --method get --url /{'/'.join(ID.split('/')[1:3])}"


@pytest.mark.parametrize(
    ("change", "remedy"),
    [
        ({"groups": [{"name": f"rg-{NAME}", "location": "northeurope", "tags": None}]}, "deploy to northeurope"),
        ({"regions": {"North Europe": "PUBLIC"}}, "az functionapp list-flexconsumption-locations"),
        ({"skus": ["Standard_LRS"]}, "`param ledgerStorageSku"),
        ({"refuse": {f"{ASKED}/resourcegroups": "AuthorizationFailed"}}, "Reader"),
    ],
)
def test_a_place_that_would_be_refused_stops_it_before_anything_is_made(
    shell: Shell, change: dict[str, Any], remedy: str
) -> None:
    shell.change(**change)
    (told,) = remedies(shell.deploy())
    assert remedy in told
    assert shell.changing_calls == []


def test_zones_are_looked_at_first_and_what_can_t_be_told_stops_nobody(shell: Shell) -> None:
    shell.parameters = shell.altered("// Who hears", "param zoneRedundant = true // Who hears")
    shell.change(regions={"West Europe": "PUBLIC;FLEXCONSUMPTION", "North Europe": "PUBLIC;FCZONEREDUNDANCY"})
    (told,) = remedies(shell.deploy())
    assert "northeurope" in told
    shell.change(refuse={f"{ASKED}/providers/": "(MissingSubscriptionRegistration) The subscription is not registered"})
    done = shell.deploy("--what-if")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("can't be read: not looked at") == 2
