"""infra/check_rights.sh: what az is asked, and what comes of the answers."""

import json
from pathlib import Path

import pytest

from tests.infra.az.vaults import vault
from tests.infra.rights_at_hand import ACCOUNT, APPLICATION, PRINCIPAL, Azure, of_policies, rule
from tests.infra.shell import NAME, Done, Shell

OWNED_BY = "18a4783c-866b-4cc7-a460-3d5e5662c884"


class Deployed:
    """A deployment whose rights are as the policy wants them, until a test changes that."""

    def __init__(self, shell: Shell, *rules: str) -> None:
        self.shell = shell
        folder = shell.home / "azure"
        folder.mkdir()
        self.azure = Azure(folder, "\n".join(rules))

    def checked(self) -> Done:
        outputs = {"placEs": {"type": "Object", "value": self.azure.places}}
        deployment = {"name": f"keyturn-{NAME}", "properties": {"outputs": outputs}}
        deployments = {deployment["name"]: deployment}
        for one in self.azure.places["vault"]:
            _, _, subscription, _, group, *_, name = one.split("/")
            self.shell.change(vaults={name: vault(name, group, subscription)} | self.shell.cloud["vaults"])
        self.shell.change(deployments=deployments, assignments=self.azure.assignments, roles=self.azure.definitions)
        return self.shell.run("check_rights.sh", "--name", NAME, "--policy", self.azure.policy)


def test_rights_as_the_policy_needs_them_are_said_to_be_so(shell: Shell) -> None:
    done = Deployed(shell, rule(["storage-key"], [ACCOUNT])).checked()
    assert (done.returncode, done.stderr) == (0, "")
    assert "has the rights that the policy needs, and no others" in done.stdout
    assert shell.changing_calls == []
    assert "rest" not in shell.calls, "Graph was asked, and no rule needs it"


def test_what_is_missing_and_what_is_too_much_is_told_a_line_each(shell: Shell) -> None:
    deployed = Deployed(shell, rule(["storage-key"], [ACCOUNT]))
    deployed.azure.revoke("Keyturn storage keys")
    deployed.azure.assign("b24988ac-6180-42a0-ab88-20f7382dd24c", ACCOUNT, "Contributor")
    done = deployed.checked()
    assert done.returncode == 2
    assert [line.split(" on ")[0] for line in done.stderr.splitlines()] == [
        "missing: Keyturn storage keys",
        "too much: Contributor",
    ]


def test_every_subscription_of_vaults_and_targets_is_asked(shell: Shell) -> None:
    deployed = Deployed(shell, rule(["storage-key"], [ACCOUNT.replace("00a/", "00b/")]))
    deployed.azure.places["vault"] = [one.replace("00a/", "00c/") for one in deployed.azure.places["vault"]]
    deployed.checked()
    asked = [
        call[call.index("--subscription") + 1][-1] for call in shell.arguments if call[:2] == ["role", "assignment"]
    ]
    assert asked == ["a", "c", "b"]


def test_a_vault_that_decides_by_access_policies_is_judged_by_them(shell: Shell) -> None:
    deployed = Deployed(shell, rule(["generated"]))
    shell.change(vaults={"kv-a": of_policies({"secrets": ["get", "list"]}) | {"resourceGroup": "rg-vaults"}})
    done = deployed.checked()
    assert done.returncode == 2
    assert "kv-a" in done.stdout + done.stderr
    assert "set" in done.stderr


def test_a_right_that_two_subscriptions_tell_of_is_told_once(shell: Shell) -> None:
    deployed = Deployed(shell, rule(["storage-key"], [ACCOUNT.replace("00a/", "00b/")]))
    deployed.azure.assign("reader", "/providers/Microsoft.Management/managementGroups/all", "Reader", id="/one")
    done = deployed.checked()
    assert done.returncode == 2
    assert done.stderr.count("too much: Reader") == 1


@pytest.mark.parametrize("cloud", ["https://graph.microsoft.com/", "https://graph.microsoft.us/"])
def test_graph_is_asked_in_the_cloud_that_az_is_set_to(shell: Shell, cloud: str) -> None:
    deployed = Deployed(shell, rule(["entra-app-secret"], [APPLICATION]))
    shell.change(graph=cloud, role_holders=[{"appRoleId": OWNED_BY, "id": APPLICATION}])
    done = deployed.checked()
    assert (done.returncode, done.stderr) == (0, "")
    urls = [call[call.index("--url") + 1] for call in shell.arguments if call[0] == "rest"]
    assert urls == [
        f"{cloud}v1.0/servicePrincipals/{PRINCIPAL}/{kind}?$top=999" for kind in ("appRoleAssignments", "ownedObjects")
    ]


@pytest.mark.parametrize(
    ("arguments", "remedy"),
    [
        ([], "--help"),
        (["--name", NAME], "az account set"),
        (["--name", NAME, "--policy", "/nowhere"], "the policy that is deployed"),
        (["--name"], "--help"),
    ],
)
def test_what_is_wrong_is_told_with_the_remedy(shell: Shell, arguments: list[str], remedy: str) -> None:
    done = shell.run("check_rights.sh", *arguments)
    assert done.returncode == 1
    assert remedy in done.stderr.partition("remedy: ")[2]


def test_a_deployment_that_failed_and_a_policy_that_is_wrong_are_told(shell: Shell, tmp_path: Path) -> None:
    shell.change(deployments={f"keyturn-{NAME}": {"name": f"keyturn-{NAME}", "properties": {"outputs": None}}})
    assert "remedy: run infra/deploy.sh" in shell.run("check_rights.sh", "--name", NAME).stderr
    policy = tmp_path / "wrong.toml"
    policy.write_text("[[rule]]\n")
    calls = len(shell.calls)
    assert (
        "remedy: mend what the line above names"
        in shell.run("check_rights.sh", "--name", NAME, "--policy", policy).stderr
    )
    assert len(shell.calls) == calls, "az was asked"
    assert json.loads((shell.home / "cloud.json").read_text())["assignments"] == []
