"""Whether two names lead to one running server, asked of real ones: one by two names, and a copy of its folder."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from local.postgres import LocalPostgres
from local.postgres_binaries import Account
from rotation.errors import Rejected, Unreachable, Unusable
from rotation.model import Job
from rotation.rotators.databases.database import Primary
from rotation.rotators.databases.in_place import InPlace
from rotation.rotators.postgres.database import PostgresDatabase
from tests.contract.secrets_at_hand import make_spec
from tests.integration.postgres_fixtures import Owner, Proxy, Role, folder, job_of, make_services, running


@dataclass(frozen=True, slots=True)
class Twins:
    owner: Owner
    copy: Owner
    role: Role


@pytest.fixture(scope="module")
def twins() -> Iterator[Twins]:
    """A server, and one that runs on a copy of its folder: all that either knows of itself is the same."""
    with running() as owner, folder() as data:
        role = owner.role()
        owner.server.stop()
        shutil.copytree(owner.server.cluster.resolve(), data / "cluster", symlinks=True)
        account = Account.for_servers()
        for path in (data / "cluster", *(data / "cluster").rglob("*")):
            account.own(path)
        shutil.copy(owner.server.data / "admin-password", data / "admin-password")
        owner.server.start()
        with LocalPostgres(data, durable=False) as server:
            yield Twins(owner, Owner(server), role)


@pytest.fixture
def rotator() -> InPlace:
    return InPlace(PostgresDatabase(make_services()))


def job_at(rotator: InPlace, twins: Twins) -> Job:
    return job_of(rotator, twins.owner.value(twins.role))


@pytest.mark.thorough
async def test_a_server_is_itself_by_any_of_its_names(twins: Twins, rotator: InPlace) -> None:
    for host in ("127.0.0.1", "localhost"):
        assert await rotator.same_provider(job_at(rotator, twins), f"{host}:{twins.owner.server.port}")


async def test_a_copy_has_the_same_realm_and_is_another_server(twins: Twins, rotator: InPlace) -> None:
    job = job_at(rotator, twins)
    at_copy = job_of(rotator, twins.owner.value(twins.role, port=twins.copy.server.port))
    ours, theirs = await rotator.prove(job), await rotator.prove(at_copy)
    assert (ours.slot, ours.realm) == (theirs.slot, theirs.realm)
    assert ours.at != theirs.at
    assert not await rotator.same_provider(job, f"127.0.0.1:{twins.copy.server.port}")
    assert not await rotator.same_provider(at_copy, f"localhost:{twins.owner.server.port}")


async def test_a_server_that_refuses_the_value_is_another(twins: Twins, rotator: InPlace) -> None:
    with running() as stranger:
        assert not await rotator.same_provider(job_at(rotator, twins), f"127.0.0.1:{stranger.server.port}")


async def test_a_value_that_is_refused_at_home_says_nothing(twins: Twins, rotator: InPlace) -> None:
    wrong = twins.owner.value(twins.role).replace(twins.role.password.reveal(), "wrong")
    with pytest.raises(Rejected):
        await rotator.same_provider(job_of(rotator, wrong), f"127.0.0.1:{twins.copy.server.port}")


async def test_a_server_that_is_down_says_nothing(twins: Twins, rotator: InPlace) -> None:
    async with Proxy(twins.owner.server.port) as down:
        pass
    with pytest.raises(Unreachable):
        await rotator.same_provider(job_at(rotator, twins), f"127.0.0.1:{down.port}")


async def test_a_restart_in_between_is_noticed(twins: Twins, rotator: InPlace, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, asked = InPlace._primary_at, 0

    async def restarted(*arguments: object) -> Primary:
        nonlocal asked
        asked += 1
        if asked == 2:
            twins.owner.server.restart()
        return await whole(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(InPlace, "_primary_at", restarted)
    with pytest.raises(Unreachable, match="started anew"):
        await rotator.same_provider(job_at(rotator, twins), f"localhost:{twins.owner.server.port}")
    assert asked == 3


async def test_a_bare_password_is_asked_about_by_the_tags_role(twins: Twins, rotator: InPlace) -> None:
    spec = make_spec("postgres", target=f"127.0.0.1:{twins.owner.server.port}", slots=(twins.role.name,))
    job = job_of(rotator, twins.role.password.reveal(), spec=spec)
    assert await rotator.same_provider(job, f"localhost:{twins.owner.server.port}")
    assert not await rotator.same_provider(job, f"localhost:{twins.copy.server.port}")


@pytest.mark.parametrize("target", ["", "a b", "/subscriptions/x", "host:port"])
async def test_what_is_no_target_is_not_asked(twins: Twins, rotator: InPlace, target: str) -> None:
    with pytest.raises(Unusable):
        await rotator.same_provider(job_at(rotator, twins), target)


async def test_no_two_connections_are_held_at_once(twins: Twins) -> None:
    rotator = InPlace(PostgresDatabase(make_services(connections=1)))
    job = job_at(rotator, twins)
    for target in (f"127.0.0.1:{twins.owner.server.port}", f"localhost:{twins.owner.server.port}"):
        assert await rotator.same_provider(replace(job), target)
