"""How what az says was granted differs from what a policy needs."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.infra.rights_at_hand import ACCOUNT, APPLICATION, GROUP, SUBSCRIPTION, VAULT, Azure, of_policies, rule

OWNED_BY = "18a4783c-866b-4cc7-a460-3d5e5662c884"


@pytest.fixture
def azure(tmp_path: Path) -> Azure:
    return Azure(tmp_path, rule(["storage-key"], [ACCOUNT]))


def test_what_is_granted_as_needed_is_said_to_be_so(azure: Azure, capsys: pytest.CaptureFixture[str]) -> None:
    assert azure.checked(capsys) == (0, [])


def test_a_missing_role_is_named_with_its_scope_and_purpose(azure: Azure, capsys: pytest.CaptureFixture[str]) -> None:
    azure.revoke("Keyturn storage keys")
    azure.revoke("Storage Queue Data Contributor")
    code, lines = azure.checked(capsys)
    assert code == 2
    assert [line.partition(":")[2].partition(" on ")[0] for line in lines] == [
        " Storage Queue Data Contributor",
        " Keyturn storage keys",
    ]
    assert ACCOUNT.lower() in lines[1]


WORKSPACE = f"{GROUP}/providers/Microsoft.OperationalInsights/workspaces/log"


def test_a_rule_that_waits_for_readers_misses_a_workspace_that_nobody_deployed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    azure = Azure(tmp_path, rule(["generated"], retire="when-unread"))
    assert azure.checked(capsys) == (2, ["missing: the resource id of the workspace among the places"])
    azure.places["workspace"] = [WORKSPACE]
    code, [line] = azure.checked(capsys)
    assert (code, line.startswith(f"missing: Keyturn audit log on {WORKSPACE.lower()}:")) == (2, True)
    azure.assign("audit-log", WORKSPACE, "Keyturn audit log")
    assert azure.checked(capsys) == (0, [])


def test_the_right_on_the_audit_log_without_a_deployment_that_asks_for_it_is_too_much(
    azure: Azure, capsys: pytest.CaptureFixture[str]
) -> None:
    azure.assign("audit-log", WORKSPACE, "Keyturn audit log")
    assert azure.checked(capsys) == (2, [f"too much: Keyturn audit log on {WORKSPACE.lower()}: nothing needs it"])


def test_what_nothing_needs_is_too_much(azure: Azure, capsys: pytest.CaptureFixture[str]) -> None:
    azure.assign("b86a8fe4-44ce-4948-aee5-eccb2c155cd7", VAULT, "Key Vault Secrets Officer")
    azure.assign("storage-keys", f"{ACCOUNT}2", "Keyturn storage keys")
    code, lines = azure.checked(capsys)
    assert code == 2
    assert lines == [
        f"too much: Key Vault Secrets Officer on {VAULT.lower()}: nothing needs it",
        f"too much: Keyturn storage keys on {ACCOUNT.lower()}2: nothing needs it",
    ]


def test_a_role_on_a_wider_scope_does_and_is_too_much(azure: Azure, capsys: pytest.CaptureFixture[str]) -> None:
    azure.revoke("Keyturn storage keys")
    azure.assign("storage-keys", GROUP, "Keyturn storage keys")
    assert azure.checked(capsys) == (
        2,
        [f"too much: Keyturn storage keys on {GROUP.lower()}: needed on {ACCOUNT.lower()} alone"],
    )


def test_another_resource_with_a_longer_name_is_another_scope(azure: Azure, capsys: pytest.CaptureFixture[str]) -> None:
    azure.revoke("Keyturn storage keys")
    azure.assign("storage-keys", ACCOUNT[:-1], "Keyturn storage keys")
    assert [line.partition(":")[0] for line in azure.checked(capsys)[1]] == ["missing", "too much"]


def test_a_role_of_ours_counts_by_what_it_permits_and_not_by_its_name(
    azure: Azure, capsys: pytest.CaptureFixture[str]
) -> None:
    [secrets] = [one for one in azure.definitions if str(one["roleName"]).startswith("Keyturn secrets")]
    secrets["permissions"] = [
        {"dataActions": ["Microsoft.KeyVault/vaults/secrets/*"],
         "notDataActions": ["Microsoft.KeyVault/vaults/secrets/purge/action"]}
    ]  # fmt: skip
    code, lines = azure.checked(capsys)
    assert code == 2
    assert "too much: Microsoft.KeyVault/vaults/secrets/* in the role Keyturn secrets (keyturn-prod)" in lines
    assert sum(line.startswith("missing: Microsoft.KeyVault/vaults/secrets/") for line in lines) == 4


def test_the_assignments_of_others_do_not_count_and_those_of_its_groups_do(
    azure: Azure, capsys: pytest.CaptureFixture[str]
) -> None:
    azure.assign("8e3af657-a8ff-443c-a75c-2fe8c4bcb635", GROUP, "Owner", principalId="somebody")
    assert azure.checked(capsys) == (0, [])
    azure.assign("8e3af657-a8ff-443c-a75c-2fe8c4bcb635", "/", "Owner", principalId="a group", principalType="Group")
    assert azure.checked(capsys) == (2, ["too much: Owner on /: nothing needs it"])


def test_a_condition_is_warned_of(azure: Azure, capsys: pytest.CaptureFixture[str]) -> None:
    azure.assignments[0]["condition"] = "@Resource[x] StringEquals 'y'"
    code, [line] = azure.checked(capsys)
    assert (code, line.startswith("warning: Keyturn secrets")) == (0, True)


@pytest.mark.parametrize("kind", ["vault", "ledgerContainer", "hostStorage"])
def test_a_place_that_is_not_told_is_missing(azure: Azure, capsys: pytest.CaptureFixture[str], kind: str) -> None:
    azure.assignments = [one for one in azure.assignments if one["scope"] not in azure.places[kind]]
    azure.places[kind] = []
    code, lines = azure.checked(capsys)
    assert code == 2
    assert [line for line in lines if not line.startswith("missing: the resource id of ")] == []


@pytest.mark.parametrize(
    ("permissions", "told"),
    [
        ({"secrets": ["Get", "List", "Set"]}, []),
        (None, ["missing: get", "missing: list", "missing: set"]),
        ({"secrets": ["get", "list", "set", "purge"], "keys": ["get"]}, ["too much: purge", "too much: get"]),
    ],
)
def test_a_vault_that_decides_by_access_policies_is_checked_by_them_and_warned_of(
    azure: Azure, capsys: pytest.CaptureFixture[str], permissions: Mapping[str, list[str]] | None, told: list[str]
) -> None:
    azure.revoke("Keyturn secrets")
    azure.option("vault", of_policies(permissions))
    code, [warning, *lines] = azure.checked(capsys)
    assert code == (2 if told else 0)
    assert warning.startswith("warning: vault kv-a decides by access policies")
    assert [line.partition(" on ")[0] for line in lines] == told


def test_a_role_on_a_vault_that_does_not_look_at_roles_waits_for_the_day_it_does(
    azure: Azure, capsys: pytest.CaptureFixture[str]
) -> None:
    azure.option("vault", of_policies({"secrets": ["get", "list", "set"]}))
    code, [warning] = azure.checked(capsys)
    assert (code, warning.startswith("warning: vault kv-a decides by access policies")) == (0, True)


def test_a_role_is_the_same_whichever_subscription_names_it(azure: Azure, capsys: pytest.CaptureFixture[str]) -> None:
    azure.definitions = [
        {**one, "id": str(one["id"]).replace(SUBSCRIPTION, "00000000-0000-0000-0000-00000000000c")}
        for one in azure.definitions
    ]
    assert azure.checked(capsys) == (0, [])


def test_graph_is_asked_for_permission_and_ownership(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    azure = Azure(tmp_path, rule(["entra-app-secret"], [APPLICATION]))
    code, [line] = azure.checked(capsys)
    assert (code, "--app-roles and --owned" in line) == (2, True)
    azure.option("app-roles", {"value": [{"appRoleId": OWNED_BY}]})
    azure.option("owned", {"value": [{"id": APPLICATION}]})
    assert azure.checked(capsys) == (0, [])
    azure.option("app-roles", {"value": [{"appRoleId": "1bfefb4e-e0b5-418b-a88f-73c46d2cc8e9"}]})
    azure.option("owned", {"value": [{"id": "another"}]})
    assert azure.checked(capsys)[1] == [
        "missing: Application.ReadWrite.OwnedBy at Microsoft Graph",
        f"missing: ownership of application {APPLICATION}",
        "too much: application permission 1bfefb4e-e0b5-418b-a88f-73c46d2cc8e9: nothing needs it",
        "too much: ownership of application another: no rule names it",
    ]
    azure.option("owned", {"value": [{"id": APPLICATION}], "@odata.nextLink": "https://graph.microsoft.com/more"})
    assert "only a part" in azure.checked(capsys)[1][0]


def test_a_file_that_is_none_of_azs_is_told_in_one_line(azure: Azure, capsys: pytest.CaptureFixture[str]) -> None:
    azure.definitions = [{"name": "no role"}]
    code, [line] = azure.checked(capsys)
    assert (code, "not what az prints" in line) == (2, True)
    azure.option("app-roles", {"value": [{"id": "no role"}]})
    assert "'appRoleId' is not there" in azure.checked(capsys)[1][0]
    azure.places.pop("principalId")
    assert "principalId" in azure.checked(capsys)[1][0]
