"""What is left to administrators: commands that quote what they name, and SQL that gives no more than it says."""

import json
from pathlib import Path

import psycopg
import pytest
from psycopg import sql as psql

from infra.rights.steps import may_change
from tests.infra.rights_at_hand import APPLICATION, PRINCIPAL, SERVER, of_policies, rule, run
from tests.integration.postgres_fixtures import running


def test_steps_are_commands_and_sql_that_quote_what_they_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy = tmp_path / "policy.toml"
    roles = {"slots": ['we"ird', "plain"], "admin": "identity", "admin-user": "o'turn"}
    policy.write_text(
        rule(["entra-app-secret"], [APPLICATION])
        + rule(["postgres"], ["orders-two.postgres.database.azure.com", SERVER], **roles)
    )
    code, out, _ = run(capsys, "steps", policy, "--principal", PRINCIPAL)
    assert code == 0
    assert "graph.microsoft" not in out, "each cloud has its own"
    assert f'"${{graph%/}}/v1.0/servicePrincipals/{PRINCIPAL}/appRoleAssignments"' in out
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
