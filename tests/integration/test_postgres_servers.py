"""Servers that are not the primary itself: standbys, poolers, servers that start or stop."""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Self

import psycopg
import pytest

from local.postgres import LocalPostgres
from local.postgres_binaries import Account
from rotation.errors import NotYet, Refused, Rejected, Unreachable
from rotation.model import Admin, Credential, SecretValue
from rotation.rotators.databases.alternating import Alternating
from rotation.rotators.databases.in_place import InPlace
from rotation.rotators.postgres import neutral as postgres_neutral
from rotation.rotators.postgres.database import PostgresDatabase
from rotation.rotators.postgres.neutral import Setting
from tests.contract.secrets_at_hand import make_spec
from tests.integration.postgres_fixtures import (
    Owner,
    Proxy,
    Role,
    by_admin,
    folder,
    job_of,
    make_services,
    running,
    until,
)
from tests.standbys import standby_of

ADMIN = Admin("secret", "pg-admin")
PGBOUNCER = shutil.which("pgbouncer")


@pytest.fixture(scope="module")
def owner() -> Iterator[Owner]:
    with running() as running_owner:
        yield running_owner


@pytest.fixture
def rotator() -> InPlace:
    return InPlace(PostgresDatabase(make_services()))


# standbys


@pytest.fixture(scope="module")
def standby(owner: Owner) -> Iterator[LocalPostgres]:
    with folder() as data, standby_of(owner.server, data) as server:
        yield server


def at(owner: Owner, role: Role, *servers: LocalPostgres) -> str:
    here = f"@{owner.server.host}:{owner.server.port}/"
    return owner.value(role).replace(here, f"@{','.join(f'{one.host}:{one.port}' for one in servers)}/")


async def until_it_followed(owner: Owner, standby: LocalPostgres) -> None:
    [[written]] = owner.sql("SELECT pg_current_wal_lsn()::text")
    copy = Owner(standby)
    await until(lambda: copy.sql("SELECT pg_last_wal_replay_lsn() < %s::pg_lsn", written) == [(False,)])


async def test_a_standby_alone_is_told_by_name(owner: Owner, rotator: InPlace, standby: LocalPostgres) -> None:
    role = owner.role()
    await until_it_followed(owner, standby)
    job = job_of(rotator, at(owner, role, standby))
    await rotator.verify(job, job.current)
    with pytest.raises(Unreachable, match="read-only standby: point at the primary"):
        await rotator.apply(job, rotator.draft(job))


async def test_of_standby_and_primary_the_primary_is_changed(
    owner: Owner, rotator: InPlace, standby: LocalPostgres
) -> None:
    role = owner.role()
    await until_it_followed(owner, standby)
    job = job_of(rotator, at(owner, role, standby, owner.server))
    await rotator.verify(job, (await rotator.apply(job, rotator.draft(job))).credential)


async def test_the_word_of_a_standby_that_lags_behind_is_not_the_last_one(
    owner: Owner, rotator: InPlace, standby: LocalPostgres
) -> None:
    role = owner.role()
    await until_it_followed(owner, standby)
    copy = Owner(standby)
    job = job_of(rotator, at(owner, role, standby, owner.server))
    copy.sql("SELECT pg_wal_replay_pause()")
    try:
        await until(lambda: copy.sql("SELECT pg_get_wal_replay_pause_state()") == [("paused",)])
        new = (await rotator.apply(job, rotator.draft(job))).credential
        await rotator.verify(job, new)
        with pytest.raises(Rejected):
            await rotator.verify(job, job.current)
    finally:
        copy.sql("SELECT pg_wal_replay_resume()")
    await until_it_followed(owner, standby)
    with pytest.raises(Rejected):
        await rotator.verify(job, job.current)


@contextlib.asynccontextmanager
async def lagging(standby: LocalPostgres, owner: Owner) -> AsyncIterator[None]:
    copy = Owner(standby)
    await until_it_followed(owner, standby)
    copy.sql("SELECT pg_wal_replay_pause()")
    await until(lambda: copy.sql("SELECT pg_get_wal_replay_pause_state()") == [("paused",)])
    try:
        yield
    finally:
        copy.sql("SELECT pg_wal_replay_resume()")


@pytest.mark.parametrize("alternating", [False, True])
async def test_what_the_primary_accepts_and_a_standby_does_not_yet_is_neither_accepted_nor_rejected(
    owner: Owner, standby: LocalPostgres, alternating: bool
) -> None:
    """The value leads to a standby for reading; the tag target says where the primary is."""
    roles = owner.role(), owner.role()
    spec = make_spec(
        "postgres-alternating" if alternating else "postgres",
        target=f"127.0.0.1:{owner.server.port}",
        slots=(roles[0].name, roles[1].name) if alternating else (),
    )
    rotator = (Alternating if alternating else InPlace)(PostgresDatabase(make_services()))
    job = job_of(rotator, at(owner, roles[0], standby), spec=spec, logins=[by_admin(owner)], admin=ADMIN)
    async with lagging(standby, owner):
        new = (await rotator.apply(job, rotator.draft(job))).credential
        with pytest.raises(NotYet) as raised:
            await rotator.verify(job, new)
        assert raised.value.retry_after_s
        if not alternating:
            # The standby still accepts it. Were that believed, the dead one would be published as a repair.
            with pytest.raises(Rejected):
                await rotator.verify(job, job.current)
            with pytest.raises(Rejected):
                await rotator.prove(job)
    await until_it_followed(owner, standby)
    await rotator.verify(job, new)


async def test_of_a_primary_that_is_down_and_a_standby_nobody_learns_whether_a_password_works(
    owner: Owner, rotator: InPlace, standby: LocalPostgres
) -> None:
    role = owner.role()
    await until_it_followed(owner, standby)
    async with Proxy(owner.server.port) as down:
        pass
    for spec in (make_spec("postgres"), make_spec("postgres", target=f"127.0.0.1:{down.port}")):
        value = at(owner, role, standby)
        if spec.target is None:
            value = value.replace("@", f"@127.0.0.1:{down.port},")
        job = job_of(rotator, value, spec=spec)
        for call in (rotator.verify(job, job.current), rotator.prove(job)):
            with pytest.raises(Unreachable):
                await call


async def test_both_servers_are_asked_side_by_side(owner: Owner, rotator: InPlace) -> None:
    role = owner.role()
    async with SlowServer() as slow, SlowServer() as other:
        spec = make_spec("postgres", target=f"127.0.0.1:{other.port}")
        job = job_of(rotator, owner.value(role, port=slow.port), spec=spec)
        task = asyncio.create_task(rotator.verify(job, job.current))
        await until(lambda: slow.asked and other.asked)  # neither has answered yet
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


class SlowServer:
    """Takes a connection and says nothing."""

    port, asked = 0, False

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_error: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked = bool(await reader.read(1))
        await reader.read()
        writer.close()


# poolers


async def test_whoever_answers_in_the_name_of_another_process_is_a_pooler(owner: Owner, rotator: InPlace) -> None:
    role = owner.role()
    before = owner.kept(role)
    async with Proxy(owner.server.port) as proxy:
        proxy.disguised = True
        value = owner.value(role, port=proxy.port)
        job = job_of(rotator, value)
        await rotator.verify(job, job.current)
        with pytest.raises(Refused, match="pooler") as raised:
            await rotator.apply(job, rotator.draft(job))
        assert raised.value.field == "target"
        assert owner.kept(role) == before

        meant = make_spec("postgres", target=f"127.0.0.1:{proxy.port}")
        job = job_of(rotator, value, spec=meant)
        await rotator.verify(job, (await rotator.apply(job, rotator.draft(job))).credential)


async def test_behind_a_pooler_the_tag_target_says_where_to_change_it(owner: Owner, rotator: InPlace) -> None:
    role = owner.role()
    async with Proxy(owner.server.port) as pooler, Proxy(owner.server.port) as direct:
        pooler.disguised = True
        spec = make_spec("postgres", target=f"127.0.0.1:{direct.port}")
        job = job_of(rotator, owner.value(role, port=pooler.port), spec=spec)
        assert job.access.targets == (f"127.0.0.1:{pooler.port}", f"127.0.0.1:{direct.port}")
        new = (await rotator.apply(job, rotator.draft(job))).credential
        assert not pooler.connections
        await rotator.verify(job, new)
        assert (pooler.connections, direct.connections) == (1, 2), "one to change, one each to verify"


class Bouncer:
    """A real PgBouncer. Its own file of passwords has `listed`; others it asks the server for."""

    def __init__(self, owner: Owner, data: Path, listed: Role) -> None:
        self._owner, self._data, self._listed = owner, data, listed
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])

    def __enter__(self) -> Self:
        account, server = Account.for_servers(), self._owner.server
        listed = [(self._listed.name, self._listed.password), (server.admin_user, server.admin_password)]
        users, config = self._data / "users.txt", self._data / "pgbouncer.ini"
        users.write_text("".join(f'"{name}" "{password.reveal()}"\n' for name, password in listed))
        config.write_text(
            f"[databases]\n* = host={server.host} port={server.port}\n[pgbouncer]\n"
            f"listen_addr = 127.0.0.1\nlisten_port = {self.port}\nunix_socket_dir =\nauth_type = scram-sha-256\n"
            f"auth_file = {users}\nauth_user = {server.admin_user}\nserver_login_retry = 0\n"
        )
        for path in (users, config):
            account.own(path)
        self._process = subprocess.Popen(
            [PGBOUNCER or "", "-q", str(config)], user=account.user, group=account.group,
            extra_groups=account.groups, stderr=subprocess.PIPE, cwd=self._data,
        )  # fmt: skip
        while self._process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
                return self
            time.sleep(0.02)
        raise RuntimeError(self._process.communicate()[1].decode())

    def __exit__(self, *_error: object) -> None:
        os.kill(self._process.pid, signal.SIGINT)
        self._process.communicate()


@pytest.mark.skipif(PGBOUNCER is None, reason="no PgBouncer on this machine: apt-get install pgbouncer")
async def test_a_real_pgbouncer_is_recognised_and_worked_around(owner: Owner, rotator: InPlace) -> None:
    listed, asked_for = owner.role(), owner.role()
    with folder() as data, Bouncer(owner, data, listed) as bouncer:
        for role in (listed, asked_for):
            job = job_of(rotator, owner.value(role, port=bouncer.port))
            await rotator.verify(job, job.current)
            before = owner.kept(role)
            with pytest.raises(Refused, match="pooler"):
                await rotator.apply(job, rotator.draft(job))
            assert owner.kept(role) == before
            wrong = SecretValue(job.current.value.reveal().replace(role.password.reveal(), "wrong"))
            with pytest.raises(Rejected):
                await rotator.verify(job, Credential(wrong, role.name))

        value = owner.value(asked_for, port=bouncer.port)
        for target in (f"127.0.0.1:{owner.server.port}", f"127.0.0.1:{bouncer.port}"):
            job = job_of(rotator, value, spec=make_spec("postgres", target=target))
            new = (await rotator.apply(job, rotator.draft(job))).credential
            await rotator.verify(job, new)
            value = new.value.reveal()


# servers that come and go


@contextlib.contextmanager
def locked(owner: Owner) -> Iterator[None]:
    """Nobody can change a role; everybody can log in."""
    server = owner.server
    with psycopg.connect(
        host=server.host,
        port=server.port,
        user=server.admin_user,
        password=server.admin_password.reveal(),
        dbname="postgres",
    ) as connection:
        connection.execute("LOCK TABLE pg_authid IN SHARE MODE")
        yield


async def test_a_server_that_is_shutting_down_or_starting_is_asked_again_later(rotator: InPlace) -> None:
    with running() as mine:
        role = mine.role()
        job = job_of(rotator, mine.value(role))
        draft = rotator.draft(job)
        mine.server.kill()
        for call in (rotator.verify(job, job.current), rotator.apply(job, draft)):
            with pytest.raises(Unreachable):
                await call
        mine.server.start()
        await rotator.verify(job, (await rotator.apply(job, draft)).credential)


async def test_a_connection_that_the_server_ends_in_the_middle_is_told_to_pass(owner: Owner, rotator: InPlace) -> None:
    role = owner.role()
    with locked(owner):
        job = job_of(rotator, owner.value(role))
        task = asyncio.create_task(rotator.apply(job, rotator.draft(job)))
        end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'keyturn' AND "
        await until(lambda: owner.sql(end + "wait_event_type = 'Lock'"))
        with pytest.raises(Unreachable, match="57P01"):
            await task


async def test_a_change_that_waits_too_long_for_another_is_told_to_pass(
    owner: Owner, rotator: InPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_neutral, "SETTINGS", (Setting("lock_timeout", "50ms", "so as not to wait"),))
    role = owner.role()
    with locked(owner):
        job = job_of(rotator, owner.value(role))
        with pytest.raises(Unreachable, match="55P03"):
            await rotator.apply(job, rotator.draft(job))


async def test_a_server_that_takes_no_writes_is_told(
    owner: Owner, rotator: InPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_neutral, "TO_WRITE", "SET TRANSACTION READ ONLY")
    job = job_of(rotator, owner.value(owner.role()))
    with pytest.raises(Unreachable, match="read-only"):
        await rotator.apply(job, rotator.draft(job))


async def test_a_change_at_the_same_moment_as_anothers_is_told_to_pass(owner: Owner, rotator: InPlace) -> None:
    role, server = owner.role(), owner.server
    job = job_of(rotator, owner.value(role))
    with psycopg.connect(server.url("postgres", server.admin_user, server.admin_password).reveal()) as other:
        other.execute(f"ALTER ROLE {role.name} CONNECTION LIMIT 5".encode())
        task = asyncio.create_task(rotator.apply(job, rotator.draft(job)))
        waits = "SELECT 1 FROM pg_stat_activity WHERE application_name = 'keyturn' AND wait_event_type = 'Lock'"
        await until(lambda: owner.sql(waits))
        other.commit()
        with pytest.raises(Unreachable, match="XX000"):
            await task
    await rotator.verify(job, (await rotator.apply(job, rotator.draft(job))).credential)


async def test_a_role_that_goes_between_look_and_change_is_told(
    owner: Owner, rotator: InPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def no_look(*_arguments: object) -> None:
        pass

    monkeypatch.setattr("rotation.rotators.postgres.session.PostgresSession.check_lasts", no_look)
    value = owner.value(replace(owner.role(), name="gone"))
    job = job_of(rotator, value, logins=[by_admin(owner)], admin=ADMIN)
    with pytest.raises(Refused, match="CREATE ROLE"):
        await rotator.apply(job, rotator.draft(job))


async def test_any_other_refusal_is_told_by_its_code(
    owner: Owner, rotator: InPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rotation.rotators.postgres.session.PRIVILEGE", "not known")
    weak = replace(by_admin(owner), value=SecretValue(owner.value(owner.role())))
    job = job_of(rotator, owner.value(owner.role()), logins=[weak], admin=ADMIN)
    with pytest.raises(Refused, match=r"refused the new password .*42501"):
        await rotator.apply(job, rotator.draft(job))
