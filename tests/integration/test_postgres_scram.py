"""How much hashing a server can make the app do, and who waits meanwhile."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from local.certificates import Certificates, ensure
from rotation.errors import Refused, Rejected, Unreachable
from rotation.model import Tls
from rotation.rotators.databases.in_place import InPlace
from rotation.rotators.postgres import connect as postgres_connect
from rotation.rotators.postgres import scram_rounds
from rotation.rotators.postgres.database import PostgresDatabase
from tests.integration.hostile_postgres import Manner, hostile
from tests.integration.postgres_fixtures import Owner, job_of, make_services, running, until

ENDLESS = 20_000_000  # more than ten seconds
NOTICED_S = 0.1


@pytest.fixture(scope="module")
def owner() -> Iterator[Owner]:
    with running() as running_owner:
        yield running_owner


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return ensure(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def rotator() -> InPlace:
    return InPlace(PostgresDatabase(make_services()))


@dataclass(slots=True)
class Heartbeat:
    longest_s: float = 0.0


@asynccontextmanager
async def heartbeat() -> AsyncIterator[Heartbeat]:
    """Beats every five milliseconds, as long as the event loop lets it."""
    heart = Heartbeat()

    async def beat() -> None:
        last = time.monotonic()
        while True:
            await asyncio.sleep(0.005)
            now = time.monotonic()
            heart.longest_s = max(heart.longest_s, now - last)
            last = now

    task = asyncio.create_task(beat())
    await asyncio.sleep(0.02)
    heart.longest_s = 0.0
    try:
        yield heart
    finally:
        await asyncio.sleep(0.02)
        task.cancel()


def value_at(port: int, host: str = "127.0.0.1") -> str:
    return f"postgresql://app:secret-of-app@{host}:{port}/app"


@pytest.mark.parametrize("call", ["verify", "prove", "apply"])
async def test_a_server_that_asks_for_endless_hashing_is_refused_and_nobody_waits(rotator: InPlace, call: str) -> None:
    await warmed(rotator)
    async with hostile(ENDLESS) as server, heartbeat() as heart:
        job = job_of(rotator, value_at(server.port))
        asked = {
            "verify": rotator.verify(job, job.current),
            "prove": rotator.prove(job),
            "apply": rotator.apply(job, rotator.draft(job)),
        }
        for name, other in asked.items():
            if name != call:
                other.close()
        with pytest.raises(Refused, match="scram_iterations") as raised:
            await asked[call]
        assert not isinstance(raised.value, Rejected)
    assert (server.logins, server.proofs) == (1, 0)
    assert heart.longest_s < NOTICED_S


async def test_the_same_over_tls(rotator: InPlace, certificates: Certificates, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.ca))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.cert, certificates.key)
    await warmed(rotator)
    for manner in (Manner.AT_ONCE, Manner.BEGUN_EARLY):
        async with hostile(ENDLESS, manner, context) as server, heartbeat() as heart:
            job = job_of(rotator, value_at(server.port, "localhost"), tls=Tls.VERIFY_FULL)
            with pytest.raises(Refused if manner is Manner.AT_ONCE else Unreachable):
                await rotator.verify(job, job.current)
        assert (server.logins, server.proofs) == (1, 0)
        assert heart.longest_s < NOTICED_S


@pytest.mark.parametrize("manner", [Manner.IN_PIECES, Manner.BEGUN_EARLY, Manner.TYPE_EARLY, Manner.AS_ANOTHER_NUMBER])
async def test_however_the_number_is_sent_it_is_seen_before_libpq_sees_it(rotator: InPlace, manner: Manner) -> None:
    await warmed(rotator)
    async with hostile(ENDLESS, manner) as server, heartbeat() as heart:
        job = job_of(rotator, value_at(server.port))
        with pytest.raises(Refused if manner is Manner.IN_PIECES else Unreachable):
            await rotator.verify(job, job.current)
    assert (server.logins, server.proofs) == (1, 0)
    assert heart.longest_s < NOTICED_S


@pytest.mark.parametrize("manner", [Manner.NEVER_WHOLE, Manner.FORKED_OUT])
async def test_an_answer_that_is_none_is_told_to_pass(
    rotator: InPlace, manner: Manner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_connect, "CONNECT_S", 0.3)
    async with hostile(4096, manner) as server:
        job = job_of(rotator, value_at(server.port))
        with pytest.raises(Unreachable):
            await rotator.verify(job, job.current)


async def test_what_little_hashing_a_server_asks_for_is_done_however_it_asks(rotator: InPlace) -> None:
    for manner in (Manner.AT_ONCE, Manner.IN_PIECES):
        async with hostile(4096, manner) as server:
            job = job_of(rotator, value_at(server.port))
            with pytest.raises(Unreachable):  # it does not know the password
                await rotator.verify(job, job.current)
        assert server.proofs == 1


async def test_an_error_that_comes_in_pieces_is_read_whole(rotator: InPlace) -> None:
    async with hostile(4096, Manner.AN_ERROR_IN_PIECES) as server:
        job = job_of(rotator, value_at(server.port))
        with pytest.raises(Rejected):
            await rotator.verify(job, job.current)


async def test_a_server_of_an_owner_who_wants_much_hashing_is_logged_in_to_and_nobody_waits(
    owner: Owner, rotator: InPlace
) -> None:
    role = owner.role()
    owner.sql(f"SET scram_iterations = 400000; ALTER ROLE {role.name} PASSWORD '{role.password.reveal()}'")
    job = job_of(rotator, owner.value(role))
    await warmed(rotator)
    async with heartbeat() as heart:
        await rotator.verify(job, job.current)
    assert heart.longest_s < NOTICED_S
    wrong = job_of(rotator, owner.value(role).replace(role.password.reveal(), "wrong"))
    with pytest.raises(Rejected):
        await rotator.verify(wrong, wrong.current)


@pytest.mark.parametrize("by", ["cancelled", "timed out"])
async def test_a_login_that_is_given_up_while_a_thread_hashes_is_closed_when_that_is_done(
    owner: Owner, rotator: InPlace, by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    role = owner.role()
    owner.sql(f"SET scram_iterations = 900000; ALTER ROLE {role.name} PASSWORD '{role.password.reveal()}'")
    job = job_of(rotator, owner.value(role))
    await warmed(rotator)
    began = time.monotonic()
    if by == "timed out":
        monkeypatch.setattr(postgres_connect, "CONNECT_S", 0.15)
        with pytest.raises(Unreachable, match="within"):
            await rotator.verify(job, job.current)
    else:
        task = asyncio.create_task(rotator.verify(job, job.current))
        await asyncio.sleep(0.15)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert time.monotonic() - began < 0.3
    await until(lambda: not owner.sql("SELECT 1 FROM pg_stat_activity WHERE usename = %s", role.name))


async def warmed(rotator: InPlace) -> None:
    """The driver is loaded at the first login, which takes a while of its own."""
    async with hostile(4096) as server:
        job = job_of(rotator, value_at(server.port))
        with pytest.raises(Unreachable):
            await rotator.verify(job, job.current)
    scram_rounds.libpq()
