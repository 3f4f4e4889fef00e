"""infra/destroy.sh: takes away what deploy.sh made, and nothing else."""

import pytest

from tests.infra.az.vaults import vault
from tests.infra.shell import NAME, Shell

pytestmark = pytest.mark.thorough

HOME = f"/subscriptions/00000000-0000-0000-0000-00000000000a/resourceGroups/rg-{NAME}/providers"
VAULT = f"{HOME}/Microsoft.KeyVault/vaults/kv-orders-prod".replace(f"rg-{NAME}", "rg-orders-prod")
TOPIC = f"{VAULT.partition('/providers')[0]}/providers/Microsoft.EventGrid/systemTopics/evgst-kv-orders-prod"
LEDGER = f"{HOME}/Microsoft.Storage/storageAccounts/stledger"


@pytest.fixture
def deployed(deployed: Shell) -> Shell:
    """With neighbours."""
    cloud = deployed.cloud
    cloud["resources"][VAULT] = {"tags": {"keyturn": NAME}}  # as of one that was made
    cloud["resources"][f"{HOME}/Microsoft.Web/sites/of-somebody-else"] = {"tags": {}}
    cloud["resources"][f"{HOME}/Microsoft.Web/sites/of-another-keyturn"] = {"tags": {"keyturn": f"{NAME}-2"}}
    cloud["event_subscriptions"]["evgst-kv-orders-prod/of-somebody-else"] = "EventGridSchema"
    deployed.change(**cloud)
    return deployed


def test_what_was_made_goes_and_vaults_ledger_and_what_others_own_stay(deployed: Shell) -> None:
    done = deployed.run("destroy.sh", "--name", NAME, "--yes")
    assert done.returncode == 0, done.stderr
    cloud = deployed.cloud
    assert set(cloud["resources"]) == {
        VAULT, LEDGER, f"{HOME}/Microsoft.Web/sites/of-somebody-else", f"{HOME}/Microsoft.Web/sites/of-another-keyturn",
    }  # fmt: skip
    assert set(cloud["event_subscriptions"]) == {"evgst-kv-orders-prod/of-somebody-else"}
    assert cloud["diagnostics"] == {VAULT: ["of-others"], TOPIC: []}
    assert (cloud["assignments"], cloud["roles"], cloud["apps"], cloud["deployments"]) == ([], [], {}, {})
    assert f"   {LEDGER}" in done.stdout.partition("left on purpose:")[2]


def test_events_end_before_the_app_goes_and_rights_before_the_identity(deployed: Shell) -> None:
    assert deployed.run("destroy.sh", "--name", NAME, "--yes").returncode == 0
    changes = list(dict.fromkeys(deployed.changing_calls))
    assert changes == [
        "eventgrid system-topic event-subscription delete", "monitor diagnostic-settings delete",
        "role assignment delete", "role definition delete", "resource delete", "ad app delete", "deployment sub delete",
    ]  # fmt: skip
    first = next(call for call in deployed.arguments if call[:2] == ["resource", "delete"])
    assert f"{HOME}/Microsoft.Web/sites/func-{NAME}" in first


def test_without_the_record_of_the_infrastructure_the_same_goes(deployed: Shell) -> None:
    cloud = deployed.cloud
    del cloud["deployments"][f"keyturn-{NAME}"]
    deployed.change(**cloud)
    assert deployed.run("destroy.sh", "--name", NAME, "--yes").returncode == 0
    cloud = deployed.cloud
    assert set(cloud["event_subscriptions"]) == {"evgst-kv-orders-prod/of-somebody-else"}
    assert cloud["diagnostics"] == {VAULT: ["of-others"], TOPIC: []}
    assert (cloud["assignments"], cloud["roles"], cloud["apps"], cloud["deployments"]) == ([], [], {}, {})


def test_the_ledger_goes_where_that_is_asked_for(deployed: Shell) -> None:
    assert deployed.run("destroy.sh", "--name", NAME, "--yes", "--with-ledger").returncode == 0
    assert LEDGER not in deployed.cloud["resources"]
    assert VAULT in deployed.cloud["resources"]


@pytest.mark.parametrize(("arguments", "typed"), [(["--what-if"], ""), ([], "no\n"), ([], "")])
def test_nothing_goes_by_what_if_or_unconfirmed(deployed: Shell, arguments: list[str], typed: str) -> None:
    before = (deployed.home / "cloud.json").read_bytes()
    done = deployed.run("destroy.sh", "--name", NAME, *arguments, typed=typed)
    assert (deployed.home / "cloud.json").read_bytes() == before
    assert deployed.changing_calls == []
    assert f"goes: {HOME}/Microsoft.Web/sites/func-{NAME}" in done.stdout
    assert f"stays: {VAULT}" in done.stdout


def test_the_typed_name_confirms(deployed: Shell) -> None:
    assert deployed.run("destroy.sh", "--name", NAME, typed=f"{NAME}\n").returncode == 0
    assert f"{HOME}/Microsoft.Web/sites/func-{NAME}" not in deployed.cloud["resources"]


def test_a_lock_stops_it_with_the_remedy_and_a_second_run_ends_it(deployed: Shell) -> None:
    locked = f"{HOME}/Microsoft.Storage/storageAccounts/sthost"
    deployed.change(locked=[locked])
    done = deployed.run("destroy.sh", "--name", NAME, "--yes")
    assert done.returncode == 1
    assert f"can't be deleted: {locked}" in done.stderr
    assert "remedy: mend what the line above names (a lock" in done.stderr
    deployed.change(locked=[])
    assert deployed.run("destroy.sh", "--name", NAME, "--yes").returncode == 0
    assert locked not in deployed.cloud["resources"]
    third = deployed.run("destroy.sh", "--name", NAME, "--yes")
    assert (third.returncode, f"nothing is left of keyturn-{NAME}" in third.stdout) == (0, True)


def test_it_stops_where_events_would_go_on(deployed: Shell) -> None:
    deployed.change(refuse={"eventgrid system-topic event-subscription delete": "AuthorizationFailed"})
    done = deployed.run("destroy.sh", "--name", NAME, "--yes")
    assert done.returncode == 1
    assert "remedy: the account needs EventGrid EventSubscription Contributor" in done.stderr
    assert f"{HOME}/Microsoft.Web/sites/func-{NAME}" in deployed.cloud["resources"]


@pytest.mark.parametrize(
    "command", ["eventgrid system-topic event-subscription list", "monitor diagnostic-settings list"]
)
def test_a_look_that_failed_is_not_taken_for_nothing_there(deployed: Shell, command: str) -> None:
    deployed.change(refuse={command: "(AuthorizationFailed) The client has no authorization"})
    done = deployed.run("destroy.sh", "--name", NAME, "--yes")
    assert done.returncode == 1
    assert "can't be looked at" in done.stderr
    assert "AuthorizationFailed" in done.stderr
    assert f"{HOME}/Microsoft.Web/sites/func-{NAME}" in deployed.cloud["resources"]


def test_what_is_gone_already_stops_nothing(deployed: Shell) -> None:
    gone = "(ResourceNotFound) The Resource was not found."
    deployed.change(
        refuse={"eventgrid system-topic event-subscription list": gone, "monitor diagnostic-settings list": gone}
    )
    assert deployed.run("destroy.sh", "--name", NAME, "--yes").returncode == 0


def test_the_events_of_a_vault_that_only_one_record_knows_end_too(deployed: Shell) -> None:
    """A change that failed after its vault had left the parameters has written the first record alone."""
    cloud = deployed.cloud
    outputs = cloud["deployments"][f"keyturn-{NAME}"]["properties"]["outputs"]
    (topic,) = outputs["topics"]["value"]
    outputs["topics"]["value"] = [{**topic, "vault": "kv-new", "name": "evgst-kv-new"}]
    cloud["event_subscriptions"][f"evgst-kv-new/keyturn-{NAME}"] = "CloudEventSchemaV1_0"
    deployed.change(**cloud)
    assert deployed.run("destroy.sh", "--name", NAME, "--yes").returncode == 0
    assert set(deployed.cloud["event_subscriptions"]) == {"evgst-kv-orders-prod/of-somebody-else"}


def test_a_topic_that_was_made_here_and_serves_others_stays(deployed: Shell) -> None:
    cloud = deployed.cloud
    cloud["resources"][TOPIC] = {"tags": {"keyturn": NAME}}
    deployed.change(**cloud)
    done = deployed.run("destroy.sh", "--name", NAME, "--yes")
    assert done.returncode == 0, done.stderr
    assert f"stays: {TOPIC}" in done.stdout
    assert TOPIC in deployed.cloud["resources"]


def test_a_topic_that_was_made_here_for_itself_goes(deployed: Shell) -> None:
    cloud = deployed.cloud
    cloud["resources"][TOPIC] = {"tags": {"keyturn": NAME}}
    del cloud["event_subscriptions"]["evgst-kv-orders-prod/of-somebody-else"]
    deployed.change(**cloud)
    assert deployed.run("destroy.sh", "--name", NAME, "--yes").returncode == 0
    assert TOPIC not in deployed.cloud["resources"]


def test_an_access_policy_of_the_identity_goes_and_those_of_others_stay(deployed: Shell) -> None:
    ours, theirs = ({"objectId": f"00000000-0000-0000-0000-0000000000{end}"} for end in ("ff", "fe"))
    there = vault("kv-orders-prod", enableRbacAuthorization=False, accessPolicies=[ours, theirs])
    deployed.change(vaults={"kv-orders-prod": there})
    assert deployed.run("destroy.sh", "--name", NAME, "--yes").returncode == 0
    assert deployed.cloud["vaults"]["kv-orders-prod"]["properties"]["accessPolicies"] == [theirs]


def test_old_access_policies_of_a_vault_that_decides_by_roles_are_left(deployed: Shell) -> None:
    """Azure refuses to change them."""
    there = vault("kv-orders-prod", accessPolicies=[{"objectId": "00000000-0000-0000-0000-0000000000ff"}])
    deployed.change(vaults={"kv-orders-prod": there}, refuse={"keyvault delete-policy": "Cannot delete policies"})
    done = deployed.run("destroy.sh", "--name", NAME, "--yes")
    assert done.returncode == 0, done.stderr


def test_a_topic_of_a_vault_that_left_is_spared_too_where_it_serves_others(deployed: Shell) -> None:
    left = TOPIC.replace("kv-orders-prod", "kv-left")
    cloud = deployed.cloud
    cloud["resources"][left] = {"tags": {"keyturn": NAME}}
    cloud["event_subscriptions"]["evgst-kv-left/of-somebody-else"] = "EventGridSchema"
    deployed.change(**cloud)
    assert deployed.run("destroy.sh", "--name", NAME, "--yes").returncode == 0
    assert left in deployed.cloud["resources"]
