"""Whose credential a value is, by the server's own word, and that no other server is changed than the one proven."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from local.postgres_binaries import installed
from rotation.errors import MovedElsewhere, NotYet, Rejected, Unreachable
from rotation.model import Admin, Credential, Login, LoginSource, SecretValue
from rotation.rotators.databases.alternating import Alternating
from rotation.rotators.databases.in_place import InPlace
from rotation.rotators.postgres.database import PostgresDatabase
from tests.contract.secrets_at_hand import make_spec
from tests.integration.postgres_fixtures import (
    Offered,
    Owner,
    Proxy,
    Role,
    by_admin,
    job_of,
    make_services,
    running,
)

ADMIN = Admin("secret", "pg-admin")


@pytest.fixture(scope="module", params=[15, 16, 18])
def owner(request: pytest.FixtureRequest) -> Iterator[Owner]:
    binaries = installed()
    if request.param == 15 and (binaries is None or "/15/" not in str(binaries)):
        pytest.skip("no PostgreSQL 15 on this machine: apt-get install postgresql, on Debian 12")
    where = {"binaries": binaries} if request.param == 15 else {"version": request.param}
    with running(**where) as running_owner:
        yield running_owner


@pytest.fixture(scope="module")
def other() -> Iterator[Owner]:
    with running() as running_owner:
        yield running_owner


@pytest.fixture
def rotator() -> InPlace:
    return InPlace(PostgresDatabase(make_services()))


def realm_of(owner: Owner) -> str:
    [[identifier]] = owner.sql("SELECT system_identifier::text FROM pg_control_system()")
    return f"postgresql:{identifier}"


# the proof


async def test_an_ordinary_role_proves_who_it_is_and_where(owner: Owner, rotator: InPlace) -> None:
    role = owner.role()
    before = owner.kept(role)
    proof = await rotator.prove(job_of(rotator, owner.value(role)))
    assert (proof.slot, proof.realm) == (role.name, realm_of(owner))
    assert owner.kept(role) == before


async def test_a_bare_password_proves_the_one_role_that_the_tag_slots_names(owner: Owner, rotator: InPlace) -> None:
    role = owner.role()
    spec = make_spec("postgres", target=f"{owner.server.host}:{owner.server.port}", slots=(role.name,))
    job = job_of(rotator, role.password.reveal(), spec=spec)
    unnamed = replace(job, current=Credential(job.current.value, ""))
    proof = await rotator.prove(unnamed)
    assert (proof.slot, proof.realm) == (role.name, realm_of(owner))


async def test_one_of_two_roles_is_proven_by_its_own_login(owner: Owner) -> None:
    rotator, roles = Alternating(PostgresDatabase(make_services())), (owner.role(), owner.role())
    spec = make_spec("postgres-alternating", slots=(roles[0].name, roles[1].name))
    for role in roles:
        job = job_of(rotator, owner.value(role), spec=spec)
        proof = await rotator.prove(job)
        assert (proof.slot, proof.realm) == (role.name, realm_of(owner))


async def test_who_is_logged_in_is_proven_and_not_whom_the_login_turns_him_into(owner: Owner, rotator: InPlace) -> None:
    role, boss = owner.role(), owner.role()
    owner.sql(f"GRANT {boss.name} TO {role.name}; ALTER ROLE {role.name} SET role = '{boss.name}'")
    assert (await rotator.prove(job_of(rotator, owner.value(role)))).slot == role.name


async def test_where_the_server_does_not_say_who_it_is_its_address_stands_for_it(
    owner: Owner, rotator: InPlace
) -> None:
    role = owner.role()
    owner.sql("REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC")
    owner.sql(f"ALTER ROLE {role.name} SET exit_on_error = on")  # else the refusal of the question ends the connection
    try:
        proof = await rotator.prove(job_of(rotator, owner.value(role)))
        assert proof.realm == f"postgresql:127.0.0.1:{owner.server.port}"
        job = job_of(rotator, owner.value(role), realm=proof.realm)
        await rotator.verify(job, (await rotator.apply(job, rotator.draft(job))).credential)
        by_who_is_told = job_of(rotator, owner.value(role), realm=proof.realm, logins=[by_admin(owner)])
        await rotator.apply(by_who_is_told, rotator.draft(by_who_is_told))
    finally:
        owner.sql("GRANT EXECUTE ON FUNCTION pg_control_system() TO PUBLIC")


@pytest.mark.parametrize("target", [False, True])
async def test_a_wrong_password_proves_nothing(owner: Owner, rotator: InPlace, target: bool) -> None:
    role = owner.role()
    wrong = owner.value(role).replace(role.password.reveal(), "wrong")
    spec = make_spec("postgres", target=f"localhost:{owner.server.port}" if target else None)
    with pytest.raises(Rejected):
        await rotator.prove(job_of(rotator, wrong, spec=spec))


async def test_a_server_that_is_down_proves_nothing_and_rejects_nothing(owner: Owner, rotator: InPlace) -> None:
    role = owner.role()
    async with Proxy(owner.server.port) as down:
        pass
    for here, there in ((down.port, owner.server.port), (owner.server.port, down.port)):
        spec = make_spec("postgres", target=f"localhost:{there}")
        for password in (role.password.reveal(), "wrong"):
            value = owner.value(role, port=here).replace(role.password.reveal(), password)
            expected = Rejected if password == "wrong" and there == owner.server.port else Unreachable
            with pytest.raises(expected):
                await rotator.prove(job_of(rotator, value, spec=spec))


async def test_a_value_that_only_the_server_to_change_accepts_is_not_proven_yet(
    owner: Owner, other: Owner, rotator: InPlace
) -> None:
    role = owner.role()
    spec = make_spec("postgres", target=f"127.0.0.1:{owner.server.port}")
    job = job_of(rotator, owner.value(role, port=other.server.port), spec=spec)
    for call in (rotator.prove(job), rotator.verify(job, job.current)):
        with pytest.raises(NotYet, match="lags behind") as raised:
            await call
        assert raised.value.retry_after_s


async def test_a_value_that_only_its_own_servers_accept_is_rejected(
    owner: Owner, other: Owner, rotator: InPlace
) -> None:
    role = owner.role()
    spec = make_spec("postgres", target=f"127.0.0.1:{other.server.port}")
    job = job_of(rotator, owner.value(role), spec=spec)
    for call in (rotator.prove(job), rotator.verify(job, job.current)):
        with pytest.raises(Rejected):
            await call


# how many connections


@pytest.mark.parametrize(
    ("target", "connections"),
    [
        (None, (1, 0)),  # the value's own server is where it would be changed
        ("value", (1, 0)),
        ("another", (1, 1)),
    ],
)
async def test_each_server_is_logged_in_to_once(
    owner: Owner, rotator: InPlace, target: str | None, connections: tuple[int, int]
) -> None:
    role = owner.role()
    async with Proxy(owner.server.port) as named, Proxy(owner.server.port) as another:
        ports = {"value": named.port, "another": another.port}
        spec = make_spec("postgres", target=None if target is None else f"127.0.0.1:{ports[target]}")
        job = job_of(rotator, owner.value(role, port=named.port), spec=spec)
        await rotator.prove(job)
        assert (named.connections, another.connections) == connections
        await rotator.verify(job, job.current)
        assert (named.connections, another.connections) == tuple(2 * count for count in connections)


# before a change


def moved(owner: Owner, other: Owner, role: Role) -> str:
    """The same login at another server, as after a name was given to it."""
    other.role(role.name)
    other.sql(f"ALTER ROLE {role.name} PASSWORD '{role.password.reveal()}'")
    return owner.value(role, port=other.server.port)


@pytest.mark.parametrize("resumed", [False, True])
async def test_no_other_server_is_changed_than_the_one_that_was_proven(
    owner: Owner, other: Owner, rotator: InPlace, resumed: bool
) -> None:
    role = owner.role()
    proof = await rotator.prove(job_of(rotator, owner.value(role)))
    job = job_of(rotator, moved(owner, other, role), realm=proof.realm, resumed=resumed)
    before = other.kept(role)
    with pytest.raises(MovedElsewhere):
        await rotator.apply(job, rotator.draft(job))
    assert other.kept(role) == before
    job = job_of(rotator, owner.value(role), realm=proof.realm, resumed=resumed)
    await rotator.verify(job, (await rotator.apply(job, rotator.draft(job))).credential)


async def test_no_role_of_another_server_is_retired(owner: Owner, other: Owner) -> None:
    rotator, roles = Alternating(PostgresDatabase(make_services())), (owner.role(), owner.role())
    spec = make_spec("postgres-alternating", slots=(roles[0].name, roles[1].name))
    values = [moved(owner, other, role) for role in roles]
    before = [other.kept(role) for role in roles]
    job = job_of(rotator, values[0], spec=spec, realm=realm_of(owner))
    with pytest.raises(MovedElsewhere):
        await rotator.retire(replace(job, admin=ADMIN, logins=Offered((by_admin(other),))), roles[1].name)
    standby = rotator.standby(job, roles[1].name)
    assert standby is not None
    own = Login(LoginSource.VERSION, SecretValue(values[1]), roles[1].name)
    job = replace(job, standby=Credential(standby, roles[1].name), logins=Offered((own,)))
    with pytest.raises(MovedElsewhere):
        await rotator.retire(job, roles[1].name)
    assert [other.kept(role) for role in roles] == before


async def test_a_realm_of_another_kind_is_not_held_against_a_server(owner: Owner, rotator: InPlace) -> None:
    role = owner.role()
    job = job_of(rotator, owner.value(role), realm="storage:ordersprod")
    await rotator.verify(job, (await rotator.apply(job, rotator.draft(job))).credential)
