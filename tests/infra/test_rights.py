"""What a policy needs, and how that differs from what az says was granted."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql as psql

from infra.rights.__main__ import main
from infra.rights.needed import Need, Needed, derive
from infra.rights.steps import may_change
from infra.rights.table import load
from rotation.policy_check import known_names
from rotation.policy_file import check
from rotation.rotators import ROTATORS
from tests.integration.postgres_fixtures import running

SUBSCRIPTION = "00000000-0000-0000-0000-00000000000a"
GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-Orders"
ACCOUNT = f"{GROUP}/providers/Microsoft.Storage/storageAccounts/storders"
SERVER = f"{GROUP}/providers/Microsoft.DBforPostgreSQL/flexibleServers/orders"
APPLICATION = "00000000-0000-0000-0000-0000000000a1"
PRINCIPAL = "00000000-0000-0000-0000-00000000000b"
OWNED_BY = "18a4783c-866b-4cc7-a460-3d5e5662c884"
VAULT = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-vaults/providers/Microsoft.KeyVault/vaults/kv-a"
PLACES = {
    "principalId": PRINCIPAL,
    "vault": [VAULT],
    "ledgerContainer": [
        f"{GROUP}/providers/Microsoft.Storage/storageAccounts/stledger/blobServices/default/containers/l"
    ],
    "hostStorage": [f"{GROUP}/providers/Microsoft.Storage/storageAccounts/sthost"],
    "deploymentContainer": [],
    "applicationInsights": [f"{GROUP}/providers/Microsoft.Insights/components/ai"],
}
TABLE = load()


def rule(rotators: list[str], targets: list[str] | None = None, **more: object) -> str:
    lines = {"vaults": ["kv-a"], "secrets": ["a-*"], "rotators": rotators, **({"targets": targets} if targets else {})}
    return "[[rule]]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in {**lines, **more}.items())


def needed(text: str, vaults: tuple[str, ...] | None = None) -> Needed:
    policy, findings = check(text, known_names())
    assert findings == []
    return derive(policy, TABLE, vaults)


# the table


def test_every_rotator_has_its_rights_in_the_table_and_no_row_names_another() -> None:
    named = [grant.rotators for grant in TABLE.grants] + [permission.rotators for permission in TABLE.graph]
    assert frozenset().union(*named) == set(ROTATORS)


def test_a_row_has_a_role_of_azures_or_one_of_ours() -> None:
    assert all((grant.role_id is None) is not (grant.custom is None) for grant in TABLE.grants)
    assert {grant.custom for grant in TABLE.grants if grant.custom} == set(TABLE.roles)
    assert all(TABLE.roles[grant.custom].name == grant.role_name for grant in TABLE.grants if grant.custom)


@pytest.mark.parametrize("word", ["*", "delete", "purge", "backup", "restore", "recover", "/keys/", "certificates"])
def test_no_role_of_ours_deletes_or_holds_a_wildcard(word: str) -> None:
    actions = [action for role in TABLE.roles.values() for action in role.actions | role.data_actions]
    assert [action for action in actions if word in action.lower()] == []


# what a policy needs


def test_made_here_needs_nothing_but_the_vault_and_the_ledger() -> None:
    assert needed(rule(["generated"])) == Needed(("kv-a",), (), ("ledger", "secrets"), (), (), ())


def test_an_account_needs_its_keys_and_a_group_those_of_all_in_it() -> None:
    exact = needed(rule(["storage-key"], [ACCOUNT]))
    assert exact.targets == (Need("storage-keys", ACCOUNT.lower()),)
    assert exact.custom_roles == ("ledger", "secrets", "storage-keys")
    whole = needed(rule(["storage-key"], [f"{GROUP}/*", ACCOUNT]))
    assert whole.targets == (Need("storage-keys", GROUP.lower()),)


def test_a_scope_below_a_group_is_given_on_the_group_and_only_to_what_can_stand_there() -> None:
    both = ["storage-key", "postgres"]
    scope = f"{GROUP}/providers/Microsoft.Storage/*"
    assert needed(rule(both, [scope], slots=["a"])).targets == (Need("storage-keys", GROUP.lower()),)
    everything = needed(rule(both, [f"{GROUP}/*"], slots=["a"])).targets
    assert everything == (Need("postgres-server", GROUP.lower()), Need("storage-keys", GROUP.lower()))


def test_a_flexible_server_by_its_id_is_read_and_by_its_name_needs_no_right() -> None:
    told = needed(rule(["postgres"], [SERVER], slots=["a"]))
    assert told.targets == (Need("postgres-server", SERVER.lower()),)
    assert needed(rule(["postgres"], ["orders.example.com"], slots=["a"])).targets == ()


def test_an_application_needs_to_be_owned() -> None:
    assert needed(rule(["entra-app-secret"], [APPLICATION])).applications == (APPLICATION,)


def test_a_target_that_no_rotator_of_its_rule_can_use_gets_no_right_and_is_told() -> None:
    targets = [SERVER, "orders.example.com", APPLICATION, f"{ACCOUNT}/*", f"{ACCOUNT}/blobServices/default"]
    told = needed(rule(["storage-key"], targets))
    assert (told.targets, told.applications) == ((), ())
    assert len(told.warnings) == 5
    assert all("of no use" in line for line in told.warnings)


def test_the_vaults_are_those_that_the_app_looks_after() -> None:
    told = needed(rule(["generated"]), ("KV-B",))
    assert told.vaults == ("kv-b",)
    assert [line.partition(":")[0] for line in told.warnings] == [
        "no rule of the policy covers vault kv-b",
        "the policy names vault kv-a, which is not in ROTATION_VAULTS",
    ]


# the command


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = main([str(one) for one in arguments])
    shown = capsys.readouterr()
    return code, shown.out, shown.err


def test_derive_prints_what_bicep_takes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text(rule(["storage-key", "entra-app-secret"], [ACCOUNT, APPLICATION]))
    code, out, _ = run(capsys, "derive", policy, "--vaults", "https://kv-a.vault.azure.net,kv-b=https://localhost:1")
    told = json.loads(out)
    assert code == 0
    assert told["vaults"] == ["kv-a", "kv-b"]
    assert told["grants"] == [
        {
            "grant": "storage-keys",
            "scope": ACCOUNT.lower(),
            "subscriptionId": SUBSCRIPTION,
            "resourceGroup": "rg-orders",
            "resource": "storders",
            "type": "microsoft.storage/storageaccounts",
        }
    ]
    assert told["graph"][0]["applications"] == [APPLICATION]


def test_a_policy_that_is_wrong_is_told_by_its_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text(rule(["generated"], ["*.example.com"]))
    code, out, err = run(capsys, "derive", policy)
    assert (code, out) == (2, "")
    assert err.startswith(f"{policy}:5: ")
    assert run(capsys, "derive", tmp_path / "none.toml")[0] == 2


class Azure:
    """What az prints of a deployment, as it should be after `policy`; a test takes away and adds."""

    def __init__(self, folder: Path, policy: str) -> None:
        self.folder = folder
        self.policy = folder / "policy.toml"
        self.policy.write_text(policy)
        self.places: dict[str, Any] = json.loads(json.dumps(PLACES))
        self.definitions = [
            {
                "id": f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Authorization/roleDefinitions/{role.key}",
                "roleName": f"{role.name} (keyturn-prod)",
                "permissions": [{"actions": sorted(role.actions), "dataActions": sorted(role.data_actions)}],
            }
            for role in TABLE.roles.values()
        ]
        self.assignments: list[dict[str, Any]] = []
        for grant in TABLE.grants:
            for scope in self.places.get(grant.scope, []):
                self.assign(grant.role_id or str(grant.custom), scope, grant.role_name)
        for need in needed(policy).targets:
            grant = TABLE.grant(need.grant)
            self.assign(str(grant.custom), need.scope, grant.role_name)
        self.more: list[object] = []

    def assign(self, definition: str, scope: str, name: str = "a role", **more: object) -> None:
        base = f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Authorization/roleDefinitions"
        one = {"roleDefinitionId": f"{base}/{definition}", "roleDefinitionName": name, "scope": scope}
        self.assignments.append({**one, "principalId": PRINCIPAL, "principalType": "ServicePrincipal", **more})

    def revoke(self, name: str) -> None:
        self.assignments = [one for one in self.assignments if one["roleDefinitionName"] != name]

    def option(self, name: str, body: object) -> None:
        path = self.folder / f"{len(self.more)}.json"
        path.write_text(json.dumps(body))
        self.more += [f"--{name}", path]

    def checked(self, capsys: pytest.CaptureFixture[str]) -> tuple[int, list[str]]:
        files: Mapping[str, object] = {
            "places": self.places, "granted": self.assignments, "definitions": self.definitions
        }  # fmt: skip
        options: list[object] = []
        for name, body in files.items():
            (self.folder / f"{name}.json").write_text(json.dumps(body))
            options += [f"--{name}", self.folder / f"{name}.json"]
        code, out, err = run(capsys, "check", self.policy, *options, *self.more)
        assert (code == 2) is bool(err)
        return code, [line for line in (out + err).splitlines() if not line.startswith("the identity has")]


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


def of_policies(permissions: Mapping[str, list[str]] | None) -> dict[str, Any]:
    mine = [] if permissions is None else [{"objectId": PRINCIPAL.upper(), "permissions": permissions}]
    others = {"objectId": "somebody", "permissions": {"secrets": ["all"], "keys": ["all"]}}
    return {"name": "kv-A", "properties": {"enableRbacAuthorization": False, "accessPolicies": [*mine, others]}}


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


# what is left to administrators


def test_steps_are_commands_and_sql_that_quote_what_they_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy = tmp_path / "policy.toml"
    roles = {"slots": ['we"ird', "plain"], "admin": "identity", "admin-user": "o'turn"}
    policy.write_text(
        rule(["entra-app-secret"], [APPLICATION]) + rule(["postgres"], ["orders.example.com", SERVER], **roles)
    )
    code, out, _ = run(capsys, "steps", policy, "--principal", PRINCIPAL)
    assert code == 0
    assert f"az ad app owner add --id {APPLICATION} --owner-object-id {PRINCIPAL}" in out
    assert "SELECT * FROM pgaadauth_create_principal('o''turn', false, false);" in out
    assert 'GRANT "we""ird" TO "o\'turn" WITH ADMIN TRUE, INHERIT FALSE, SET FALSE;' in out
    assert out.count("-- On ") == 2
    policy.write_text(rule(["generated"]))
    assert run(capsys, "steps", policy, "--principal", PRINCIPAL)[1].strip() == ""


def test_steps_give_the_policy_of_a_vault_that_decides_by_policies_and_of_no_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy, vault, other = (tmp_path / name for name in ("policy.toml", "kv-a.json", "kv-b.json"))
    policy.write_text(rule(["generated"]))
    vault.write_text(json.dumps(of_policies(None)))
    other.write_text(json.dumps({"name": "kv-b", "properties": {"enableRbacAuthorization": True}}))
    given = ("--vaults", "kv-a,kv-b", "--vault", vault, "--vault", other)
    code, out, _ = run(capsys, "steps", policy, "--principal", PRINCIPAL, *given)
    set_policy = f"az keyvault set-policy --name kv-a --object-id {PRINCIPAL} --secret-permissions get list set"
    assert (code, [line for line in out.splitlines() if not line.startswith("#")]) == (0, [set_policy])
    other.write_text("{}")
    assert run(capsys, "steps", policy, "--principal", PRINCIPAL, *given)[0] == 2


def test_the_sql_lets_an_administrator_change_the_passwords_that_are_named_and_nothing_else() -> None:
    with running() as owner:
        admin, mine, other = owner.role('Key"turn'), owner.role("mine"), owner.role("other")
        owner.sql("CREATE TABLE secret_things ()")
        owner.sql('GRANT SELECT ON secret_things TO "mine"')
        for statement in may_change(admin.name, [mine.name]):
            owner.sql(statement)
        with psycopg.connect(owner.value(admin), autocommit=True) as connection:
            change = psql.SQL("ALTER ROLE {} PASSWORD 'SCRAM-SHA-256$4096:AAAA$AAAA:AAAA'")
            before = owner.kept(mine)
            connection.execute(change.format(psql.Identifier(mine.name)))
            assert owner.kept(mine) != before
            for forbidden in (
                change.format(psql.Identifier(other.name)),
                psql.SQL("SET ROLE mine"),
                psql.SQL("SELECT * FROM secret_things"),
                psql.SQL("ALTER ROLE mine SUPERUSER"),
            ):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute(forbidden)
