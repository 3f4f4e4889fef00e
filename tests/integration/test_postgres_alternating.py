"""Two roles of a real PostgreSQL server in turn."""

from collections.abc import Iterator
from dataclasses import replace

import psycopg
import pytest

from rotation.errors import Refused, Rejected, Unreachable
from rotation.model import Admin, Credential, Draft, Job, Login, LoginSource, SecretValue, Spec
from rotation.rotators.databases.alternating import Alternating
from rotation.rotators.postgres.database import PostgresDatabase
from tests.contract.secrets_at_hand import make_spec
from tests.integration.postgres_fixtures import Offered, Owner, Proxy, Role, by_admin, job_of, make_services, running

ADMIN = Admin("secret", "pg-admin")


@pytest.fixture(scope="module")
def owner() -> Iterator[Owner]:
    with running() as running_owner:
        yield running_owner


@pytest.fixture
def rotator() -> Alternating:
    return Alternating(PostgresDatabase(make_services()))


@pytest.fixture
def roles(owner: Owner) -> tuple[Role, Role]:
    return owner.role(), owner.role()


def spec_of(roles: tuple[Role, Role]) -> Spec:
    return make_spec("postgres-alternating", slots=(roles[0].name, roles[1].name))


def offer(*logins: tuple[SecretValue | str, str]) -> Offered:
    """Staged values, each with its role."""
    values = [(value if isinstance(value, SecretValue) else SecretValue(value), role) for value, role in logins]
    return Offered(tuple(Login(LoginSource.STAGED, value, role) for value, role in values))


def to_rotate(rotator: Alternating, owner: Owner, roles: tuple[Role, Role], *, by: str) -> Job:
    """The first role is in use. by: who can log in to change the second: "itself", the "admin" or "nobody"."""
    value, spec = owner.value(roles[0]), spec_of(roles)
    if by == "admin":
        return job_of(rotator, value, spec=spec, logins=[by_admin(owner)], admin=ADMIN)
    own = offer((owner.value(roles[1]), roles[1].name)) if by == "itself" else offer()
    return replace(job_of(rotator, value, spec=spec), logins=own)


@pytest.mark.parametrize("by", ["itself", "admin"])
async def test_the_role_that_is_not_in_use_gets_the_new_password(
    owner: Owner, rotator: Alternating, roles: tuple[Role, Role], by: str
) -> None:
    job = to_rotate(rotator, owner, roles, by=by)
    draft = rotator.draft(job)
    assert draft.slot == roles[1].name
    new = (await rotator.apply(job, draft)).credential
    await rotator.verify(job, new)
    await rotator.verify(job, job.current)
    assert not owner.works(roles[1].name, roles[1].password)
    assert f"//{roles[1].name}:" in new.value.reveal()


async def test_a_finished_change_is_not_made_again(
    owner: Owner, rotator: Alternating, roles: tuple[Role, Role]
) -> None:
    job = to_rotate(rotator, owner, roles, by="itself")
    draft = rotator.draft(job)
    new = (await rotator.apply(job, draft)).credential
    before = owner.kept(roles[1])
    assert (await rotator.apply(replace(job, resumed=True), draft)).credential == new
    assert owner.kept(roles[1]) == before


async def test_the_role_in_use_and_roles_of_others_are_left_alone(
    owner: Owner, rotator: Alternating, roles: tuple[Role, Role]
) -> None:
    job = to_rotate(rotator, owner, roles, by="admin")
    stranger = owner.role()
    before = [owner.kept(role) for role in (*roles, stranger)]
    for role in (roles[0], stranger):
        with pytest.raises(Refused, match="nothing was changed"):
            await rotator.apply(job, Draft(role.name, SecretValue(owner.value(role))))
        with pytest.raises(Refused, match="nothing was changed"):
            await rotator.retire(job, role.name)
    assert [owner.kept(role) for role in (*roles, stranger)] == before


# retiring


async def test_with_an_administrator_the_old_role_has_no_password_afterwards(
    owner: Owner, rotator: Alternating, roles: tuple[Role, Role]
) -> None:
    job = to_rotate(rotator, owner, roles, by="admin")
    assert rotator.standby(job, roles[1].name) is None
    await rotator.retire(job, roles[1].name)
    assert owner.kept(roles[1])[1] is None
    await rotator.retire(job, roles[1].name)
    assert not owner.works(roles[1].name, roles[1].password)
    assert owner.sql("SELECT rolcanlogin FROM pg_roles WHERE rolname = %s", roles[1].name) == [(True,)]

    await rotator.verify(job, (await rotator.apply(job, rotator.draft(job))).credential)


async def test_with_an_administrator_a_role_that_was_dropped_is_retired(
    owner: Owner, rotator: Alternating, roles: tuple[Role, Role]
) -> None:
    owner.sql(f"DROP ROLE {roles[1].name}")
    job = to_rotate(rotator, owner, roles, by="admin")
    await rotator.retire(job, roles[1].name)


async def test_without_an_administrator_the_old_role_gets_the_parked_password(
    owner: Owner, rotator: Alternating, roles: tuple[Role, Role]
) -> None:
    slot = roles[1].name
    job = to_rotate(rotator, owner, roles, by="itself")
    standby = rotator.standby(job, slot)
    assert standby is not None
    job = replace(job, standby=Credential(standby, slot))
    await rotator.retire(job, slot)
    assert not owner.works(slot, roles[1].password)
    parked = owner.kept(roles[1])

    await rotator.retire(replace(job, logins=offer()), slot)
    assert owner.kept(roles[1]) == parked, "what is parked is left as it is"

    job = replace(job, standby=None, logins=offer((standby, slot)))
    await rotator.verify(job, (await rotator.apply(job, rotator.draft(job))).credential)


@pytest.mark.parametrize("parked", [None, "of another role"])
async def test_nothing_is_retired_to_a_password_that_nobody_knows(
    owner: Owner, rotator: Alternating, roles: tuple[Role, Role], parked: str | None
) -> None:
    job = to_rotate(rotator, owner, roles, by="itself")
    credential = Credential(job.current.value, roles[0].name) if parked else None
    before = owner.kept(roles[1])
    with pytest.raises(Refused, match="parked"):
        await rotator.retire(replace(job, standby=credential), roles[1].name)
    assert owner.kept(roles[1]) == before


async def test_a_role_that_ends_soon_is_retired_all_the_same(owner: Owner, rotator: Alternating) -> None:
    roles = owner.role(), owner.role(attributes="LOGIN VALID UNTIL 'tomorrow'")
    await rotator.retire(to_rotate(rotator, owner, roles, by="admin"), roles[1].name)
    assert owner.kept(roles[1])[1] is None


async def test_connections_that_are_open_when_their_role_is_retired_go_on(
    owner: Owner, rotator: Alternating, roles: tuple[Role, Role]
) -> None:
    with psycopg.connect(owner.value(roles[1])) as connection:
        await rotator.retire(to_rotate(rotator, owner, roles, by="admin"), roles[1].name)
        assert connection.execute("SELECT 1").fetchone() == (1,)


async def test_an_answer_lost_while_retiring_is_made_good(
    owner: Owner, rotator: Alternating, roles: tuple[Role, Role]
) -> None:
    slot = roles[1].name
    async with Proxy(owner.server.port) as proxy:
        proxy.cut_after = b"ALTER ROLE"
        job = job_of(rotator, owner.value(roles[0], port=proxy.port), spec=spec_of(roles))
        job = replace(job, logins=offer((owner.value(roles[1]), slot)))
        standby = rotator.standby(job, slot)
        assert standby is not None
        job = replace(job, standby=Credential(standby, slot))
        with pytest.raises(Unreachable):
            await rotator.retire(job, slot)
        await rotator.retire(job, slot)


async def test_where_nothing_logs_in_as_the_other_role_nothing_is_changed(
    owner: Owner, rotator: Alternating, roles: tuple[Role, Role]
) -> None:
    job = to_rotate(rotator, owner, roles, by="nobody")
    with pytest.raises(Rejected, match=roles[1].name):
        await rotator.apply(job, rotator.draft(job))
