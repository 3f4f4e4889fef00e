"""No default of a role, of a database or of an administrator decides over the rotators' statements."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from rotation.model import Admin
from rotation.rotators.databases.alternating import Alternating
from rotation.rotators.databases.in_place import InPlace
from rotation.rotators.postgres import neutral as postgres_neutral
from rotation.rotators.postgres.database import PostgresDatabase
from tests.contract.secrets_at_hand import make_spec
from tests.integration.postgres_fixtures import (
    Owner,
    Role,
    by_admin,
    job_of,
    make_services,
    running,
)

ADMIN = Admin("secret", "pg-admin")
# What a role may set for itself and what could stand in the way, each at its worst.
DEFAULTS = {
    "default_transaction_read_only": "on",
    "default_transaction_isolation": "serializable",
    "default_transaction_deferrable": "on",
    "search_path": "trap, pg_catalog",
    "statement_timeout": "20ms",
    "lock_timeout": "1ms",
    "idle_session_timeout": "2s",
    "idle_in_transaction_session_timeout": "1ms",
    "synchronous_commit": "off",
    "exit_on_error": "on",
    "client_min_messages": "debug5",
    "standard_conforming_strings": "off",
    "backslash_quote": "off",
    "escape_string_warning": "on",
    "client_encoding": "LATIN1",
    "password_encryption": "md5",
    "DateStyle": "SQL, DMY",
    "IntervalStyle": "iso_8601",
    "TimeZone": "Pacific/Kiritimati",
    "bytea_output": "escape",
    "extra_float_digits": "-15",
    "row_security": "off",
    "check_function_bodies": "off",
    "quote_all_identifiers": "on",
    "transform_null_equals": "on",
    "debug_print_parse": "on",
    "debug_print_rewritten": "on",
    "debug_print_plan": "on",
    "jit_above_cost": "0",
    "plan_cache_mode": "force_generic_plan",
    "lc_messages": "C",
    "application_name": "somebody",
}
OF_A_VERSION = {"transaction_timeout": (17, "1ms"), "debug_parallel_query": (16, "on")}


@pytest.fixture(scope="module", params=[16, 18])
def owner(request: pytest.FixtureRequest) -> Iterator[Owner]:
    with running(version=request.param) as running_owner:
        running_owner.sql("CREATE SCHEMA trap; CREATE VIEW trap.pg_roles AS SELECT 1 AS trap")
        running_owner.sql("CREATE FUNCTION trap.pg_is_in_recovery() RETURNS bool RETURN true")
        running_owner.sql("GRANT USAGE ON SCHEMA trap TO PUBLIC; GRANT SELECT ON trap.pg_roles TO PUBLIC")
        yield running_owner


@pytest.fixture
def rotator() -> InPlace:
    return InPlace(PostgresDatabase(make_services()))


async def rotated(rotator: InPlace, owner: Owner, role: Role) -> None:
    before = owner.kept(role)
    job = job_of(rotator, owner.value(role))
    assert (await rotator.prove(job)).slot == role.name
    new = (await rotator.apply(job, rotator.draft(job))).credential
    await rotator.verify(job, new)
    assert owner.kept(role) != before
    assert owner.kept(role)[1].startswith("SCRAM-SHA-256$")


def set_for(owner: Owner, role: Role, name: str, text: str) -> None:
    listed = text if name == "search_path" else f"'{text}'"
    owner.sql(f"ALTER ROLE {role.name} SET {name} = {listed}")


@pytest.mark.parametrize("name", [*DEFAULTS, *OF_A_VERSION])
async def test_a_default_of_the_role_is_not_in_the_way(owner: Owner, rotator: InPlace, name: str) -> None:
    since, text = OF_A_VERSION.get(name, (0, DEFAULTS.get(name, "")))
    [[major]] = owner.sql("SELECT current_setting('server_version_num')::int / 10000")
    if major < since:
        assert not owner.sql("SELECT 1 FROM pg_settings WHERE name = %s", name)
        return
    role = owner.role(name=f'ro"le_{name}\\{owner.role().name}')
    owner.sql(f"ALTER ROLE {quoted(role)} SET {name} = {text if name == 'search_path' else f'{text!r}'}")
    await rotated(rotator, owner, role)


def quoted(role: Role) -> str:
    return '"' + role.name.replace('"', '""') + '"'


async def test_all_of_them_together_are_not_in_the_way(owner: Owner, rotator: InPlace) -> None:
    role = owner.role()
    for name, text in DEFAULTS.items():
        set_for(owner, role, name, text)
    await rotated(rotator, owner, role)


@pytest.mark.parametrize("where", ["the role", "the role in a database", "the database"])
async def test_a_login_that_turns_into_another_role_changes_its_own_password(
    owner: Owner, rotator: InPlace, where: str
) -> None:
    role, boss = owner.role(), owner.role()
    owner.sql(f"GRANT {boss.name} TO {role.name}")
    database = f"db_{role.name}"
    owner.sql(f"CREATE DATABASE {database}")
    whose = {
        "the role": f"ROLE {role.name}",
        "the role in a database": f"ROLE {role.name} IN DATABASE {database}",
        "the database": f"DATABASE {database}",
    }[where]
    owner.sql(f"ALTER {whose} SET role = '{boss.name}'")
    job = job_of(rotator, owner.value(role).replace("/postgres", f"/{database}"))
    assert (await rotator.prove(job)).slot == role.name
    await rotator.verify(job, (await rotator.apply(job, rotator.draft(job))).credential)
    assert not owner.works(role.name, role.password)


async def test_an_administrator_who_turns_into_another_role_changes_and_retires_all_the_same(owner: Owner) -> None:
    admin, weak = owner.role(attributes="LOGIN SUPERUSER"), owner.role()
    owner.sql(f"ALTER ROLE {admin.name} SET role = '{weak.name}'")
    for name, text in DEFAULTS.items():
        set_for(owner, admin, name, text)
    login = by_admin(owner)
    assert login.value is not None
    server = owner.server
    written = login.value.reveal().replace(
        f"//{server.admin_user}:{server.admin_password.reveal()}@", f"//{admin.name}:{admin.password.reveal()}@"
    )
    login = type(login)(login.source, type(login.value)(written), None)
    rotator, roles = Alternating(PostgresDatabase(make_services())), (owner.role(), owner.role())
    spec = make_spec("postgres-alternating", slots=(roles[0].name, roles[1].name))
    job = job_of(rotator, owner.value(roles[0]), spec=spec, logins=[login], admin=ADMIN)
    new = (await rotator.apply(job, rotator.draft(job))).credential
    await rotator.verify(job, new)
    await rotator.retire(job, roles[1].name)
    assert owner.kept(roles[1])[1] is None


async def test_a_session_that_belongs_to_another_by_default_is_the_logins_own(owner: Owner, rotator: InPlace) -> None:
    role, weak = owner.role(attributes="LOGIN SUPERUSER"), owner.role()
    owner.sql(f"ALTER ROLE {role.name} SET session_authorization = '{weak.name}'")
    await rotated(rotator, owner, role)


async def test_a_read_only_role_is_not_kept_waiting_by_the_transactions_of_others(
    owner: Owner, rotator: InPlace
) -> None:
    """A deferrable one of it would wait for this serializable one to end."""
    import psycopg  # noqa: PLC0415

    role = owner.role()
    for name in ("default_transaction_read_only", "default_transaction_isolation", "default_transaction_deferrable"):
        set_for(owner, role, name, DEFAULTS[name])
    owner.sql("CREATE TABLE IF NOT EXISTS written (at int)")
    server = owner.server
    with psycopg.connect(server.url("postgres", server.admin_user, server.admin_password).reveal()) as other:
        other.execute("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")
        other.execute("INSERT INTO written SELECT count(*) FROM written")
        await rotated(rotator, owner, role)


async def test_a_change_that_was_answered_outlasts_a_crash_though_the_role_does_not_wait_for_the_disk(
    rotator: InPlace,
) -> None:
    with running(settings={"wal_writer_delay": "10s"}) as owner:
        role = owner.role()
        set_for(owner, role, "synchronous_commit", "off")
        job = job_of(rotator, owner.value(role))
        new = (await rotator.apply(job, rotator.draft(job))).credential
        owner.server.kill()
        owner.server.start()
        await rotator.verify(job, new)


async def test_nothing_of_it_stays_in_a_connection_that_others_use_afterwards(
    owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As behind a pooler, whose server connections are consumers' again afterwards."""
    from rotation.model import SecretValue, Tls  # noqa: PLC0415
    from rotation.rotators.databases.database import Account, Endpoint  # noqa: PLC0415
    from rotation.rotators.postgres import connect as postgres_connect  # noqa: PLC0415
    from rotation.rotators.postgres.session import PostgresSession  # noqa: PLC0415

    role, boss = owner.role(), owner.role()
    owner.sql(f"GRANT {boss.name} TO {role.name}; ALTER ROLE {role.name} SET role = '{boss.name}'")
    set_for(owner, role, "search_path", "trap")
    changed = "SELECT current_user, array_agg(name || setting ORDER BY name)::text FROM pg_catalog.pg_settings"
    account = Account(role.name, role.password, "postgres")
    connection = await postgres_connect.connect(Endpoint("127.0.0.1", owner.server.port), account, Tls.DISABLE)
    with closing(connection):
        before = await connection.query(changed)
        session = PostgresSession(connection)
        await session.look(pooler_meant=False)
        await session.check_lasts(role.name, 1)
        await session.set_password(role.name, SecretValue("another"))
        assert await connection.query(changed) == before
    assert owner.works(role.name, SecretValue("another"))


# the server's log


async def test_a_superuser_keeps_the_verifier_out_of_the_servers_log(owner: Owner, rotator: InPlace) -> None:
    role = owner.role()
    value = owner.value(role)
    await rotator.apply(job := job_of(rotator, value), rotator.draft(job))
    assert f'ALTER ROLE "{role.name}" PASSWORD' in owner.server.log_path.read_text(), "the role may not decide that"
    by = job_of(rotator, value, logins=[by_admin(owner)], admin=ADMIN)
    other = owner.role()
    by = job_of(rotator, owner.value(other), logins=[by_admin(owner)], admin=ADMIN)
    await rotator.apply(by, rotator.draft(by))
    assert f'ALTER ROLE "{other.name}" PASSWORD' not in owner.server.log_path.read_text()


@pytest.mark.parametrize("name", ["debug_print_parse", "debug_print_rewritten", "debug_print_plan"])
async def test_a_role_that_prints_its_statements_does_not_print_the_verifier(rotator: InPlace, name: str) -> None:
    with running(settings={"log_statement": "none", "log_min_messages": "log"}) as owner:
        role = owner.role()
        set_for(owner, role, name, "on")
        await rotated(rotator, owner, role)
        [_, verifier] = owner.kept(role)
        assert verifier not in owner.server.log_path.read_text()


# the list


@pytest.mark.parametrize("setting", postgres_neutral.SETTINGS, ids=lambda setting: setting.name)
async def test_each_setting_says_why_and_a_server_takes_it(owner: Owner, setting: postgres_neutral.Setting) -> None:
    assert setting.why
    [[number]] = owner.sql("SELECT current_setting('server_version_num')::int")
    known = owner.sql("SELECT 1 FROM pg_settings WHERE name = %s", setting.name)
    assert bool(known) is (number >= setting.since)
