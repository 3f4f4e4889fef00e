"""One role of a real PostgreSQL server, changed in place."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from rotation.errors import Refused, Rejected, RotationError, Unreachable, Unusable
from rotation.model import Admin, Credential, Draft, SecretValue
from rotation.rotators.databases.in_place import InPlace
from rotation.rotators.postgres.database import PostgresDatabase
from tests.contract.secrets_at_hand import make_spec
from tests.integration.postgres_fixtures import (
    ASKS_FOR_CLEAR_TEXT,
    ASKS_FOR_MD5,
    SHUT_OUT,
    TRUSTED,
    Owner,
    Proxy,
    by_admin,
    job_of,
    make_services,
    running,
    until,
    version,
)

ADMIN = Admin("secret", "pg-admin")


@pytest.fixture(scope="module", params=[16, 18])
def owner(request: pytest.FixtureRequest) -> Iterator[Owner]:
    with running(version=request.param) as running_owner:
        yield running_owner


@pytest.fixture
def rotator() -> InPlace:
    return InPlace(PostgresDatabase(make_services()))


def password_in(value: SecretValue) -> SecretValue:
    return SecretValue(value.reveal().split("://", 1)[1].split("@")[0].split(":", 1)[1])


async def rotate(rotator: InPlace, job: Any) -> Credential:
    new = (await rotator.apply(job, rotator.draft(job))).credential
    await rotator.verify(job, new)
    return new


# the change


@pytest.mark.parametrize("name", ['we"ird', "Mixed Case", "ünï", "x'; DROP ROLE postgres; --", "a%20b@c/d:e"])
async def test_a_role_of_any_name_is_rotated(owner: Owner, rotator: InPlace, name: str) -> None:
    role = owner.role(name)
    new = await rotate(rotator, job_of(rotator, owner.value(role)))
    assert new.slot == name
    assert owner.works(name, password_in(new.value))
    assert not owner.works(name, role.password)


async def test_neither_log_nor_wire_ever_shows_a_password(owner: Owner, rotator: InPlace) -> None:
    role = owner.role()
    async with Proxy(owner.server.port) as proxy:
        job = job_of(rotator, owner.value(role, port=proxy.port))
        new = await rotate(rotator, job)
        with pytest.raises(Rejected):
            await rotator.verify(job, job.current)
    log = owner.server.log_path.read_bytes()
    assert f'ALTER ROLE "{role.name}" PASSWORD'.encode() in log, "the server logs statements"
    assert b"SCRAM-SHA-256$" in proxy.sent
    for password in (role.password, password_in(new.value)):
        assert password.reveal().encode() not in proxy.sent
    assert password_in(new.value).reveal().encode() not in log


async def test_a_bare_password_is_rotated_where_the_tags_say_server_and_role(owner: Owner, rotator: InPlace) -> None:
    role = owner.role()
    spec = make_spec("postgres", target=f"{owner.server.host}:{owner.server.port}", slots=(role.name,))
    new = await rotate(rotator, job_of(rotator, role.password.reveal(), spec=spec))
    assert owner.works(role.name, new.value)


async def test_a_password_kept_as_md5_is_set_by_an_administrator_and_then_kept_as_scram(
    owner: Owner, rotator: InPlace
) -> None:
    role = owner.role()
    owner.sql(f"SET password_encryption = 'md5'; ALTER ROLE {role.name} PASSWORD '{role.password.reveal()}'")
    owner.sql(f"GRANT {ASKS_FOR_MD5} TO {role.name}")
    assert owner.kept(role)[1].startswith("md5")
    assert owner.works(role.name, role.password)
    value = owner.value(role)
    job = job_of(rotator, value)
    for call in (rotator.verify(job, job.current), rotator.prove(job), rotator.apply(job, rotator.draft(job))):
        with pytest.raises(Rejected, match=r"MD5.*administrator.*adopt=reset"):
            await call
    await rotate(rotator, job_of(rotator, value, logins=[version(value), by_admin(owner)], admin=ADMIN))
    assert owner.kept(role)[1].startswith("SCRAM-SHA-256$")


async def test_a_server_that_would_keep_md5_is_given_scram(owner: Owner, rotator: InPlace) -> None:
    role = owner.role()
    owner.sql(f"ALTER ROLE {role.name} SET password_encryption = 'md5'")
    await rotate(rotator, job_of(rotator, owner.value(role)))
    assert owner.kept(role)[1].startswith("SCRAM-SHA-256$")


async def test_a_role_that_is_read_only_by_default_and_has_a_search_path_of_its_own_is_rotated(
    owner: Owner, rotator: InPlace
) -> None:
    role = owner.role()
    owner.sql(f"CREATE SCHEMA {role.name} AUTHORIZATION {role.name}")
    owner.sql(f"CREATE VIEW {role.name}.pg_roles AS SELECT 1 AS trap")
    owner.sql(f"GRANT SELECT ON {role.name}.pg_roles TO {role.name}")
    owner.sql(f"ALTER ROLE {role.name} SET search_path = {role.name}, pg_catalog")
    owner.sql(f"ALTER ROLE {role.name} SET default_transaction_read_only = on")
    await rotate(rotator, job_of(rotator, owner.value(role)))


async def test_retiring_does_nothing(owner: Owner, rotator: InPlace) -> None:
    role = owner.role()
    await rotator.retire(job_of(rotator, owner.value(role)), role.name)
    assert owner.works(role.name, role.password)


@pytest.mark.parametrize("draft", [Draft("postgres", SecretValue("x")), Draft(None, SecretValue("x"))])
async def test_no_role_but_the_secrets_own_is_changed(owner: Owner, rotator: InPlace, draft: Draft) -> None:
    role = owner.role()
    job = job_of(rotator, owner.value(role), logins=[by_admin(owner)], admin=ADMIN)
    before = owner.sql("SELECT rolname, rolpassword FROM pg_authid ORDER BY 1")
    with pytest.raises(Refused, match="nothing was changed"):
        await rotator.apply(job, draft)
    assert owner.sql("SELECT rolname, rolpassword FROM pg_authid ORDER BY 1") == before


async def test_a_draft_whose_value_is_another_roles_is_not_applied(owner: Owner, rotator: InPlace) -> None:
    role, other = owner.role(), owner.role()
    before = owner.kept(role)
    with pytest.raises(Refused, match="nothing was changed"):
        await rotator.apply(job_of(rotator, owner.value(role)), Draft(role.name, SecretValue(owner.value(other))))
    assert owner.kept(role) == before


# what is done already


async def test_a_change_that_was_made_is_not_made_again(owner: Owner, rotator: InPlace) -> None:
    role = owner.role()
    job = job_of(rotator, owner.value(role))
    draft = rotator.draft(job)
    first = (await rotator.apply(job, draft)).credential
    before = owner.kept(role)
    assert (await rotator.apply(replace(job, resumed=True), draft)).credential == first
    assert owner.kept(role) == before


async def test_a_change_that_was_not_made_is_made_when_it_is_resumed(owner: Owner, rotator: InPlace) -> None:
    role = owner.role()
    job = job_of(rotator, owner.value(role), resumed=True)
    await rotate(rotator, job)


@pytest.mark.parametrize("silent", [False, True])
async def test_an_answer_lost_in_the_middle_is_found_when_it_is_resumed(
    owner: Owner, rotator: InPlace, silent: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rotation.rotators.postgres.connection.ANSWER_S", 1.0)
    role = owner.role()
    async with Proxy(owner.server.port) as proxy:
        proxy.cut_after, proxy.silent = b"ALTER ROLE", silent
        job = job_of(rotator, owner.value(role, port=proxy.port))
        draft = rotator.draft(job)
        with pytest.raises(Unreachable, match="may have happened"):
            await rotator.apply(job, draft)
        changed = owner.kept(role)
        assert not owner.works(role.name, role.password)
        new = (await rotator.apply(replace(job, resumed=True), draft)).credential
        await rotator.verify(job, new)
    assert owner.kept(role) == changed


async def test_a_run_that_is_cancelled_leaves_no_connection_behind(owner: Owner, rotator: InPlace) -> None:
    role = owner.role()
    async with Proxy(owner.server.port) as proxy:
        proxy.cut_after, proxy.silent = b"ALTER ROLE", True
        job = job_of(rotator, owner.value(role, port=proxy.port))
        task = asyncio.create_task(rotator.apply(job, rotator.draft(job)))
        await until(lambda: b"ALTER ROLE" in proxy.sent)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: not owner.sql("SELECT 1 FROM pg_stat_activity WHERE application_name = 'keyturn'"))


# who logs in


async def test_the_next_login_is_taken_only_after_a_rejection(owner: Owner, rotator: InPlace) -> None:
    role = owner.role()
    value = owner.value(role)
    wrong = value.replace(role.password.reveal(), "wrong")
    job = job_of(rotator, value, logins=[version(wrong), version(value), by_admin(owner)], admin=ADMIN)
    await rotate(rotator, job)
    assert len(job.logins.taken) == 2  # type: ignore[attr-defined]


async def test_an_administrator_helps_where_no_known_password_works(owner: Owner, rotator: InPlace) -> None:
    role = owner.role()
    wrong = owner.value(role).replace(role.password.reveal(), "wrong")
    await rotate(rotator, job_of(rotator, wrong, logins=[version(wrong), by_admin(owner)], admin=ADMIN))


async def test_an_administrators_bare_password_goes_with_the_user_that_the_policy_names(
    owner: Owner, rotator: InPlace
) -> None:
    role = owner.role()
    value = owner.value(role)
    admin = replace(by_admin(owner), value=owner.server.admin_password)
    with pytest.raises(Refused, match="admin-user"):
        await rotate(rotator, job_of(rotator, value, logins=[admin], admin=ADMIN))
    await rotate(rotator, job_of(rotator, value, logins=[replace(admin, user="postgres")], admin=ADMIN))


async def test_a_login_of_another_role_is_passed_over(owner: Owner, rotator: InPlace) -> None:
    role, other = owner.role(), owner.role()
    value = owner.value(role)
    logins = [
        version(owner.value(other)),
        version("postgresql://no-password@here/"),
        replace(version(value), value=None),
        version(value),
    ]
    await rotate(rotator, job_of(rotator, value, logins=logins))


@pytest.mark.parametrize(("admin", "told"), [(None, "name an administrator"), (ADMIN, "as a new version")])
async def test_where_nothing_logs_in_the_way_out_is_told(
    owner: Owner, rotator: InPlace, admin: Admin | None, told: str
) -> None:
    role = owner.role()
    wrong = owner.value(role).replace(role.password.reveal(), "wrong")
    with pytest.raises(Rejected, match=told):
        await rotate(rotator, job_of(rotator, wrong, admin=admin))
    with pytest.raises(Rejected, match=told):
        await rotate(rotator, job_of(rotator, wrong, admin=admin, logins=[]))


async def test_an_administrator_without_the_right_is_told_which_to_get(owner: Owner, rotator: InPlace) -> None:
    role, weak = owner.role(), owner.role()
    admin = replace(by_admin(owner), value=SecretValue(owner.value(weak)))
    job = job_of(rotator, owner.value(role), logins=[admin], admin=ADMIN)
    with pytest.raises(Refused, match="CREATEROLE"):
        await rotator.apply(job, rotator.draft(job))


# roles that a new password does not help


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("NOLOGIN", "LOGIN lets it"),
        ("VALID UNTIL '2001-01-01'", "has ended"),
        ("VALID UNTIL '-infinity'", "has ended"),
        ("VALID UNTIL 'tomorrow'", "validity-days"),
    ],
)
async def test_a_role_that_could_not_use_a_new_password_is_left_as_it_is(
    owner: Owner, rotator: InPlace, change: str, told: str
) -> None:
    role = owner.role(attributes=change if change == "NOLOGIN" else f"LOGIN {change}")
    before = owner.kept(role)
    value = owner.value(role)
    job = job_of(rotator, value, logins=[version(value), by_admin(owner)], admin=ADMIN)
    with pytest.raises(Refused, match=told):
        await rotator.apply(job, rotator.draft(job))
    assert owner.kept(role) == before


@pytest.mark.parametrize("until", ["infinity", "2100-01-01"])
async def test_a_role_that_ends_late_enough_is_rotated_and_ends_when_it_did(
    owner: Owner, rotator: InPlace, until: str
) -> None:
    role = owner.role(attributes=f"LOGIN VALID UNTIL '{until}'")
    await rotate(rotator, job_of(rotator, owner.value(role)))
    [[kept]] = owner.sql("SELECT rolvaliduntil::text FROM pg_roles WHERE rolname = %s", role.name)
    assert kept.startswith(until)


async def test_a_role_that_does_not_exist_is_told(owner: Owner, rotator: InPlace) -> None:
    role = owner.role()
    value = owner.value(role).replace(role.name, "nobody_here")
    job = job_of(rotator, value, logins=[version(value), by_admin(owner)], admin=ADMIN)
    with pytest.raises(Refused, match="CREATE ROLE"):
        await rotator.apply(job, rotator.draft(job))
    with pytest.raises(Rejected):
        await rotator.verify(job, job.current)


async def test_a_role_that_may_not_log_in_is_told_at_verify(owner: Owner, rotator: InPlace) -> None:
    role = owner.role(attributes="NOLOGIN")
    job = job_of(rotator, owner.value(role))
    with pytest.raises(Rejected, match="LOGIN lets it"):
        await rotator.verify(job, job.current)


async def test_what_more_than_a_password_would_mend_is_said_however_many_older_values_are_refused_after_it(
    owner: Owner, rotator: InPlace
) -> None:
    role = owner.role(attributes="NOLOGIN")
    value = owner.value(role)
    older = value.replace(role.password.reveal(), "Zq9-older-Xw3k")
    job = job_of(rotator, value, logins=[version(value), version(older)])
    with pytest.raises(Rejected, match=r"nothing known logs in .* LOGIN lets it"):
        await rotator.apply(job, rotator.draft(job))


# servers that are not what they should be


async def test_a_server_whose_method_is_md5_and_that_keeps_scram_is_answered(owner: Owner, rotator: InPlace) -> None:
    role = owner.role()
    owner.sql(f"GRANT {ASKS_FOR_MD5} TO {role.name}")
    await rotate(rotator, job_of(rotator, owner.value(role)))


@pytest.mark.parametrize("group", [ASKS_FOR_CLEAR_TEXT, TRUSTED])
async def test_a_server_that_wants_the_password_in_another_way_than_scram_does_not_get_it(
    owner: Owner, rotator: InPlace, group: str
) -> None:
    role = owner.role()
    owner.sql(f"GRANT {group} TO {role.name}")
    async with Proxy(owner.server.port) as proxy:
        job = job_of(rotator, owner.value(role, port=proxy.port))
        for call in (rotator.verify(job, job.current), rotator.apply(job, rotator.draft(job))):
            with pytest.raises(Refused, match="scram-sha-256") as raised:
                await call
            assert not isinstance(raised.value, Rejected)
    assert proxy.connections
    assert role.password.reveal().encode() not in proxy.sent


async def test_a_role_that_is_shut_out_is_not_taken_for_a_wrong_password(owner: Owner, rotator: InPlace) -> None:
    role = owner.role()
    owner.sql(f"GRANT {SHUT_OUT} TO {role.name}")
    value = owner.value(role)
    job = job_of(rotator, value, logins=[version(value), by_admin(owner)], admin=ADMIN)
    for call in (rotator.verify(job, job.current), rotator.apply(job, rotator.draft(job))):
        with pytest.raises(Refused, match=r"pg_hba\.conf") as raised:
            await call
        assert not isinstance(raised.value, Rejected)


async def test_too_many_connections_are_told_to_pass(owner: Owner, rotator: InPlace) -> None:
    role = owner.role(attributes="LOGIN CONNECTION LIMIT 0")
    job = job_of(rotator, owner.value(role))
    for call in (rotator.verify(job, job.current), rotator.apply(job, rotator.draft(job))):
        with pytest.raises(Unreachable, match="53300"):
            await call


@pytest.mark.parametrize("dbname", ["gone", "closed"])
async def test_a_database_that_is_not_there_or_is_closed_is_told(owner: Owner, rotator: InPlace, dbname: str) -> None:
    role = owner.role()
    if dbname == "closed" and not owner.sql("SELECT 1 FROM pg_database WHERE datname = 'closed'"):
        owner.sql("CREATE DATABASE closed")
        owner.sql("REVOKE CONNECT ON DATABASE closed FROM PUBLIC")
    value = owner.value(role).replace("/postgres", f"/{dbname}")
    job = job_of(rotator, value)
    for call in (rotator.verify(job, job.current), rotator.prove(job)):
        with pytest.raises(Refused, match="HOST:PORT/DATABASE" if dbname == "gone" else "GRANT CONNECT") as raised:
            await call
        assert not isinstance(raised.value, Rejected), "the password was proven"
        assert dbname not in raised.value.message, "no rule permits a database's name to be shown"


async def test_a_value_without_a_database_leads_to_the_one_of_the_users_name(owner: Owner, rotator: InPlace) -> None:
    role = owner.role()
    job = job_of(rotator, owner.value(role).removesuffix("/postgres"))
    with pytest.raises(Refused, match="no such database"):
        await rotator.verify(job, job.current)
    owner.sql(f"CREATE DATABASE {role.name}")
    await rotator.verify(job, job.current)


async def test_a_port_where_nobody_listens_is_told_at_once(owner: Owner, rotator: InPlace) -> None:
    role = owner.role()
    async with Proxy(owner.server.port) as proxy:
        port = proxy.port
    job = job_of(rotator, owner.value(role, port=port))
    for call in (rotator.verify(job, job.current), rotator.apply(job, rotator.draft(job))):
        with pytest.raises(Unreachable, match="look whether it runs"):
            await call


async def test_a_server_that_never_answers_is_given_up(rotator: InPlace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rotation.rotators.postgres.connect.CONNECT_S", 0.2)

    async def listen_only(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(1024):
            pass
        writer.close()
        gone.set()

    gone = asyncio.Event()
    async with await asyncio.start_server(listen_only, "127.0.0.1", 0) as mute:
        port = mute.sockets[0].getsockname()[1]
        job = job_of(rotator, f"postgresql://someone:secret@127.0.0.1:{port}/app")
        with pytest.raises(Unreachable, match="within"):
            await rotator.verify(job, job.current)
        await gone.wait()


async def test_a_host_that_is_not_known_is_told(rotator: InPlace) -> None:
    job = job_of(rotator, "postgresql://someone:secret@db.invalid/app")
    with pytest.raises(Unreachable, match="can't be resolved"):
        await rotator.verify(job, job.current)


async def test_the_servers_words_never_get_into_an_error(owner: Owner, rotator: InPlace) -> None:
    role = owner.role()
    wrong = job_of(rotator, owner.value(role).replace(role.password.reveal(), "wrong"))
    with pytest.raises(RotationError) as raised:
        await rotator.verify(wrong, wrong.current)
    assert "authentication failed" not in raised.value.message
    assert "FATAL" not in raised.value.message


# what is in a value, and does not get in


@pytest.mark.parametrize("password", ["", "\0", "a\0b"])
async def test_an_empty_password_or_one_with_a_nul_is_refused_unasked(
    owner: Owner, rotator: InPlace, password: str
) -> None:
    async with Proxy(owner.server.port) as proxy:
        parts = {"host": "127.0.0.1", "port": proxy.port, "username": owner.role().name, "password": password}
        with pytest.raises(Unusable):
            job_of(rotator, json.dumps(parts))
        assert not proxy.connections


async def test_an_empty_password_is_never_set(owner: Owner, rotator: InPlace) -> None:
    role = owner.role()
    parts = {"host": "127.0.0.1", "port": owner.server.port, "username": role.name, "dbname": "postgres"}
    job = job_of(rotator, json.dumps({**parts, "password": role.password.reveal()}))
    with pytest.raises(Unusable, match="password"):
        await rotator.apply(job, Draft(role.name, SecretValue(json.dumps({**parts, "password": ""}))))
    assert owner.works(role.name, role.password)


async def test_a_value_that_leads_to_a_server_that_was_not_permitted_is_not_tried(
    owner: Owner, rotator: InPlace
) -> None:
    role = owner.role()
    job = job_of(rotator, owner.value(role))
    async with Proxy(owner.server.port) as proxy:
        elsewhere = SecretValue(owner.value(role, port=proxy.port))
        with pytest.raises(Rejected, match="not permitted"):
            await rotator.verify(job, Credential(elsewhere, role.name))
        assert not proxy.connections
