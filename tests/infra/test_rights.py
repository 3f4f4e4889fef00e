"""What rights a policy needs, by the table of roles."""

import json
from pathlib import Path

import pytest

from infra.rights.needed import NO_SUBSCRIPTION, Need, Needed
from rotation.refreshers import REFRESHERS
from rotation.rotators import APPLICATION as AN_APPLICATION
from rotation.rotators import HOST, ROTATORS
from tests.infra.rights_at_hand import ACCOUNT, APPLICATION, GROUP, SERVER, TABLE, needed, rule, run
from tests.infra.shell import ROOT

# the table


def test_each_kind_of_target_of_each_rotator_has_its_row_in_the_table_and_no_row_names_another() -> None:
    of_targets = [grant for grant in TABLE.grants if not grant.outermost]
    rows = [(name, one) for grant in of_targets for name in grant.rotators for one in grant.resource_types]
    rows += [(name, AN_APPLICATION) for permission in TABLE.graph for name in permission.rotators]
    needed = [(name, target) for name, kind in ROTATORS.items() for target in kind.targets if target != HOST]
    assert sorted(rows) == sorted(needed)


def test_each_kind_of_refresh_target_that_is_a_resource_has_its_rows_and_no_row_names_another() -> None:
    rows = [(name, one) for grant in TABLE.grants for name in grant.refreshes for one in grant.resource_types]
    assert sorted(rows) == sorted((name, kind) for name, one in REFRESHERS.items() for kind in one.resources)


def test_the_sql_of_administrators_is_for_rotators_that_log_in_to_such_servers() -> None:
    rows = [(name, row.resource_type) for row in TABLE.sql for name in row.rotators]
    assert rows
    assert all(ROTATORS[name].logs_in and target in ROTATORS[name].targets for name, target in rows)


def test_a_row_has_a_role_of_azures_or_one_of_ours() -> None:
    assert all((grant.role_id is None) is not (grant.custom is None) for grant in TABLE.grants)
    assert {grant.custom for grant in TABLE.grants if grant.custom} == set(TABLE.roles)
    assert all(TABLE.roles[grant.custom].name == grant.role_name for grant in TABLE.grants if grant.custom)


@pytest.mark.parametrize("word", ["*", "delete", "purge", "backup", "restore", "recover", "/keys/", "certificates"])
def test_no_role_of_ours_deletes_or_holds_a_wildcard(word: str) -> None:
    actions = [action for role in TABLE.roles.values() for action in role.actions | role.data_actions]
    assert [action for action in actions if word in action.lower()] == []


# what a policy needs


def test_a_rule_that_waits_for_readers_needs_the_audit_log_and_no_other_rule_does() -> None:
    waits = needed(rule(["generated"]) + 'retire = "when-unread"\n')
    assert (waits.audit_log, waits.custom_roles) == (True, ("audit-log", "ledger", "secrets"))
    assert needed(rule(["generated"])).audit_log is False


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


def test_a_server_of_mysql_has_a_right_of_its_own() -> None:
    server = SERVER.replace("DBforPostgreSQL", "DBforMySQL")
    told = needed(rule(["mysql", "mysql-alternating"], [server, "orders.example.com"], slots=["a", "b"]))
    assert told.targets == (Need("mysql-server", server.lower()),)


def test_a_refresh_target_needs_the_right_to_be_asked_on_itself_alone() -> None:
    site, app = f"{GROUP}/providers/Microsoft.Web/sites/shop", f"{GROUP}/providers/Microsoft.App/containerApps/shop"
    refresh_targets = [{"app-settings": site}, {"app-settings": f"{site}/slots/next"}, {"container-app": app}]
    cluster = f"{GROUP}/providers/Microsoft.ContainerService/managedClusters/aks-shop"
    refresh_targets.append({"aks": cluster, "deployment": "shop/web"})
    refresh_targets.append({"aks": cluster, "deployment": "shop/worker"})
    refresh_targets.append({"webhook": "https://shop.example/", "key": "kv-a/hook"})
    told = needed(rule(["generated"], refresh=refresh_targets))
    assert told.targets == (
        Need("aks", cluster.lower()),
        Need("app-settings", site.lower()),
        Need("app-settings-slot", f"{site}/slots/next".lower()),
        Need("container-app", app.lower()),
    )
    assert told.custom_roles == ("aks", "app-settings", "app-settings-slot", "container-app", "ledger", "secrets")
    assert told.warnings == ()


def test_an_examples_refresh_target_is_told() -> None:
    example = f"{NO_SUBSCRIPTION}resourceGroups/g/providers/Microsoft.Web/sites/shop"
    told = needed(rule(["generated"], refresh=[{"app-settings": example}]))
    assert told.warnings == (
        f"rule 1: app-settings {example.lower()} is an example's: put your own in, or take it out",
    )


def test_an_application_needs_to_be_owned() -> None:
    assert needed(rule(["entra-app-secret"], [APPLICATION])).applications == (APPLICATION,)


def test_a_target_that_no_rotator_of_its_rule_can_use_gets_no_right_and_is_told() -> None:
    targets = [SERVER, "orders.example.com", APPLICATION, f"{ACCOUNT}/*", f"{ACCOUNT}/blobServices/default"]
    told = needed(rule(["storage-key"], targets))
    assert (told.targets, told.applications) == ((), ())
    assert len(told.warnings) == 5
    assert all("of no use" in line for line in told.warnings)


def test_an_examples_target_is_told() -> None:
    example = needed((ROOT / "policy.toml").read_text())
    (told,) = [line for line in example.warnings if "example" in line]
    assert told.startswith(f"rule 4: target {NO_SUBSCRIPTION}resourcegroups/rg-orders-prod is an example's:")
    assert not any("example" in line for line in needed(rule(["storage-key"], [ACCOUNT])).warnings)


def test_the_vaults_are_those_that_the_app_looks_after() -> None:
    told = needed(rule(["generated"]), ("KV-B",))
    assert told.vaults == ("kv-b",)
    assert [line.partition(":")[0] for line in told.warnings] == [
        "no rule of the policy covers vault kv-b",
        "the policy names vault kv-a, which is not in ROTATION_VAULTS",
    ]


def test_each_followers_vault_is_among_them() -> None:
    text = rule(["generated"], followers=["kv-c/a", "KV-b/x", "kv-a/y"])
    assert needed(text).vaults == ("kv-a", "kv-b", "kv-c")
    told = needed(text, ("kv-a", "kv-b"))
    assert [line.partition(":")[0] for line in told.warnings] == [
        "the policy names vault kv-c, which is not in ROTATION_VAULTS"
    ]


def test_derive_prints_what_bicep_takes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text(rule(["storage-key", "entra-app-secret"], [ACCOUNT, APPLICATION]))
    code, out, _ = run(capsys, "derive", policy, "--vaults", "https://kv-a.vault.azure.net,kv-b=https://localhost:1")
    told = json.loads(out)
    assert code == 0
    assert told["vaults"] == ["kv-a", "kv-b"]
    assert told["auditReaders"] is False
    assert told["grants"] == [{"grant": "storage-keys", "scope": ACCOUNT.lower()}]
    assert told["graph"][0]["applications"] == [APPLICATION]


def test_a_policy_that_is_wrong_is_told_by_its_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text(rule(["generated"], ["*.example.com"]))
    code, out, err = run(capsys, "derive", policy)
    assert (code, out) == (2, "")
    assert err.startswith(f"{policy}:5: ")
    assert run(capsys, "derive", tmp_path / "none.toml")[0] == 2


def test_an_empty_list_of_vaults_is_a_mistake_and_not_no_vaults(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text(rule(["generated"]))
    code, out, err = run(capsys, "derive", policy, "--vaults", " , ")
    assert (code, out) == (2, "")
    assert err.startswith("--vaults names no vault")
