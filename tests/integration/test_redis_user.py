"""What the contract's suite does not ask of users of Redis and Valkey: where servers keep them, and whom we spare."""

import contextlib
import hashlib
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from rotation.errors import MovedElsewhere, NotYet, Refused, Rejected, RotationError, Unreachable, Unusable
from rotation.model import Admin, Credential, Job, Login, LoginSource, Reason, Result, Secret, SecretValue, Spec, Tls
from rotation.rotators import ROTATORS
from rotation.rotators.redis.users import hash_of, slot_of
from tests.contract.crash_suite import World
from tests.contract.harness_redis_user import RedisHarness, password_in
from tests.contract.secrets_at_hand import make_job, make_secret, make_spec
from tests.integration import redis_fixtures
from tests.integration.postgres_fixtures import make_services
from tests.integration.redis_fixtures import ADMIN, Server

SERVICES = make_services()
ROTATOR = ROTATORS["redis-user"].build(SERVICES)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("redis")


@pytest.fixture(scope="module", params=["redis", "valkey"])
def server(request: pytest.FixtureRequest, folder: Path) -> Iterator[Server]:
    binary = redis_fixtures.redis_binary() if request.param == "redis" else redis_fixtures.valkey_binary()
    made = Server(binary, folder, acl_file=request.param == "redis")
    with redis_fixtures.running([made]):
        yield made


def job_for(server: Server, value: str, *, spec: Spec | None = None, old: Sequence[str] = ()) -> Job:
    """By the administrator. old: values of earlier versions."""
    job = make_job(ROTATOR, spec or make_spec("redis-user"), make_secret(value), "")
    current = Credential(job.current.value, job.access.current_slot or "")

    async def logins(slot: str) -> AsyncIterator[Login]:
        for text in old:
            yield Login(LoginSource.VERSION, SecretValue(text), slot)
        yield server.by_admin()

    return replace(job, current=current, tls=Tls.DISABLE, admin=Admin("secret", "redis-admin", ADMIN), logins=logins)


def url(server: Server, name: str, password: str) -> str:
    return f"redis://{name}:{password}@{server.address}/0"


async def test_only_an_additional_hash_is_set_and_a_restart_keeps_it(server: Server) -> None:
    name, password = server.new_user()
    job = job_for(server, url(server, name, password))
    draft = ROTATOR.draft(job)
    applied = await ROTATOR.apply(job, draft)
    new = applied.credential.value.reveal().partition(f"{name}:")[2].partition("@")[0]
    assert server.kept(name) == sorted(hashlib.sha256(one.encode()).hexdigest() for one in (password, new))
    server.stop()
    server.start()
    await ROTATOR.verify(job, applied.credential)
    assert server.lets_in(name, password)


async def test_no_log_of_the_server_and_no_monitor_shows_a_password(server: Server) -> None:
    name, password = server.new_user()
    seen: list[str] = []
    with server.login("default", server.owner_password) as owner, owner.monitor() as monitor:

        def listen() -> None:
            with contextlib.suppress(Exception):  # it ends when the test closes it
                seen.extend(heard["command"] for heard in monitor.listen())

        listener = threading.Thread(target=listen, daemon=True)
        listener.start()
        job = job_for(server, url(server, name, password))
        draft = ROTATOR.draft(job)
        new = (await ROTATOR.apply(job, draft)).credential
        await ROTATOR.verify(job, new)
        after = job_for(server, new.value.reveal(), old=[url(server, name, password)])
        await ROTATOR.retire(after, job.current.slot)
        with pytest.raises(Rejected):
            await ROTATOR.verify(job, job.current)
        server.ask("PING")
        slow = repr(server.ask("SLOWLOG", "GET", "500")) + repr(server.ask("ACL", "LOG", "50"))
        monitor.connection.disconnect()
        listener.join(5)
    shown = "\n".join([server.log.read_text(errors="replace"), slow, *seen])
    assert "GETUSER" in shown, "something was logged"
    new_password = new.value.reveal().partition(f"{name}:")[2].partition("@")[0]
    for hidden in (password, new_password, server.admin_password):
        assert hidden not in shown


async def test_passwords_that_no_version_holds_are_left_alone(server: Server) -> None:
    name, password = server.new_user()
    others = [f"other-{number}-{name}" for number in range(8)]  # in both places
    for one in others:
        server.ask("ACL", "SETUSER", name, f">{one}")
    job = job_for(server, url(server, name, password))
    new = (await ROTATOR.apply(job, ROTATOR.draft(job))).credential
    assert all(server.lets_in(name, one) for one in (password, *others))
    after = job_for(server, new.value.reveal(), old=[url(server, name, password)])
    await ROTATOR.retire(after, job.current.slot)
    assert not server.lets_in(name, password)
    assert all(server.lets_in(name, one) for one in others)


@pytest.mark.thorough
@pytest.mark.parametrize("with_admin", [True, False])
async def test_the_engine_takes_the_old_password_away_after_its_grace_period_and_goes_on(
    server: Server, with_admin: bool
) -> None:
    world = await World(RedisHarness([server], with_admin=with_admin)).start()
    before = [world.latest]
    for _ in range(3):
        assert (await world.ask()).result is Result.ROTATED
        world.time.ahead(hours=71)
        assert (await world.ask(Reason.SWEEP)).result is not Result.RETIRED
        assert await world.harness.works(before[-1].value, slot_in(before[-1]))
        world.time.ahead(hours=2)
        assert (await world.ask(Reason.SWEEP)).result is Result.RETIRED
        assert not await world.harness.works(before[-1].value, slot_in(before[-1]))
        assert await world.harness.works(world.latest.value, slot_in(world.latest))
        before.append(world.latest)
        world.time.ahead(days=80)


def slot_in(secret: Secret) -> str:
    name, password = urlsplit(secret.value.reveal()).username or "", password_in(secret.value)
    return slot_of(name, hash_of(SecretValue(password)))


async def test_a_place_whose_values_nobody_can_read_is_refused_rather_than_emptied(server: Server) -> None:
    name, password = server.new_user()
    job = job_for(server, url(server, name, password))
    new = (await ROTATOR.apply(job, ROTATOR.draft(job))).credential
    with pytest.raises(Refused, match="by hand"):
        await ROTATOR.retire(job_for(server, new.value.reveal()), job.current.slot)
    assert server.lets_in(name, password)


@pytest.mark.parametrize(
    ("rules", "why"), [(["nopass"], "nopass"), (["off"], "is off"), (["gone"], "there is no user")]
)
async def test_a_user_whom_a_password_would_not_help_is_refused_and_left_as_it_is(
    server: Server, rules: list[str], why: str
) -> None:
    name, password = server.new_user()
    job = job_for(server, url(server, name, password))
    server.ask("ACL", *(["DELUSER", name] if rules == ["gone"] else ["SETUSER", name, *rules]))
    before = server.kept(name)
    with pytest.raises(Refused, match=why):
        await ROTATOR.apply(job, ROTATOR.draft(job))
    assert server.kept(name) == before
    assert (server.ask("ACL", "GETUSER", name) is None) is (rules == ["gone"])


async def test_the_old_password_of_a_user_that_is_gone_counts_as_retired(server: Server) -> None:
    name, password = server.new_user()
    job = job_for(server, url(server, name, password), old=[url(server, name, password)])
    other = next(one for one in job.access.slots if one != job.current.slot)
    server.ask("ACL", "DELUSER", name)
    await ROTATOR.retire(job, other)
    assert server.ask("ACL", "GETUSER", name) is None


async def test_a_server_that_forgets_its_users_is_refused_before_anything_changes(folder: Path) -> None:
    forgetful = Server(redis_fixtures.redis_binary(), folder, acl_file=False, keeps=False)
    with redis_fixtures.running([forgetful]):
        name, password = forgetful.new_user()
        job = job_for(forgetful, url(forgetful, name, password))
        with pytest.raises(Refused, match="outlasts a restart"):
            await ROTATOR.apply(job, ROTATOR.draft(job))
        assert len(forgetful.kept(name)) == 1


async def test_an_administrator_who_may_not_save_is_refused_before_anything_changes(server: Server) -> None:
    name, password = server.new_user()
    server.ask("ACL", "SETUSER", "half", "reset", "on", f">{server.admin_password}", "+acl|setuser", "+acl|getuser")
    job = job_for(server, url(server, name, password))

    async def logins(_slot: str) -> AsyncIterator[Login]:
        yield Login(LoginSource.ADMIN_SECRET, SecretValue(server.admin_password), "half")

    with pytest.raises(Refused, match="may not send ACL SAVE"):
        await ROTATOR.apply(replace(job, logins=logins), ROTATOR.draft(job))
    assert len(server.kept(name)) == 1


async def test_a_user_that_may_not_change_itself_needs_an_administrator(server: Server) -> None:
    name, password = server.new_user()
    job = job_for(server, url(server, name, password))

    async def logins(slot: str) -> AsyncIterator[Login]:
        yield Login(LoginSource.VERSION, job.current.value, slot)

    with pytest.raises(Refused, match="administrator"):
        await ROTATOR.apply(replace(job, logins=logins, admin=None), ROTATOR.draft(job))
    assert len(server.kept(name)) == 1


async def test_this_apps_token_is_shown_to_no_server(server: Server) -> None:
    name, password = server.new_user()
    job = job_for(server, url(server, name, password))

    async def logins(_slot: str) -> AsyncIterator[Login]:
        yield Login(LoginSource.ADMIN_IDENTITY, None, None)

    with pytest.raises(Refused, match="token"):
        await ROTATOR.apply(replace(job, logins=logins), ROTATOR.draft(job))


async def test_of_two_servers_the_first_is_left_alone_where_the_second_can_not_be_changed(
    server: Server, folder: Path
) -> None:
    second = Server(redis_fixtures.redis_binary(), folder)
    with redis_fixtures.running([second]):
        second.ask("ACL", "SETUSER", ADMIN, "resetpass", f">{server.admin_password}")
        second.ask("ACL", "SAVE")
        name, password = server.new_user()
        second.new_user(name=name, password=password)
        spec = make_spec("redis-user", target=f"{server.address},{second.address}")
        job = job_for(server, url(server, name, password), spec=spec)
        assert set(job.access.targets) == {server.address, second.address}
        second.ask("ACL", "SETUSER", name, "off")
        with pytest.raises(Refused, match="is off"):
            await ROTATOR.apply(job, ROTATOR.draft(job))
        assert len(server.kept(name)) == 1
        second.ask("ACL", "SETUSER", name, "on")
        draft = ROTATOR.draft(job)
        async with second.outage():
            with pytest.raises(Unreachable):
                await ROTATOR.apply(job, draft)
        assert len(server.kept(name)) == 1
        new = (await ROTATOR.apply(job, draft)).credential
        await ROTATOR.verify(job, new)
        second.ask("ACL", "SETUSER", name, "resetpass")
        with pytest.raises(Rejected):
            await ROTATOR.verify(job, new)


async def test_a_server_of_the_value_that_is_not_changed_is_waited_for(server: Server, folder: Path) -> None:
    consumer = Server(redis_fixtures.redis_binary(), folder)
    with redis_fixtures.running([consumer]):
        name, password = server.new_user()
        consumer.new_user(name=name, password=password)
        spec = make_spec("redis-user", target=server.address)
        job = job_for(server, url(consumer, name, password), spec=spec)
        assert (await ROTATOR.prove(job)).slot == job.current.slot
        new = (await ROTATOR.apply(job, ROTATOR.draft(job))).credential
        with pytest.raises(NotYet, match="name all servers"):
            await ROTATOR.verify(job, new)


async def test_other_servers_than_were_proven_are_not_changed(server: Server) -> None:
    name, password = server.new_user()
    job = replace(job_for(server, url(server, name, password)), realm="redis:cache.example:6379")
    for act in (ROTATOR.apply(job, ROTATOR.draft(job)), ROTATOR.retire(job, ROTATOR.draft(job).slot or "")):
        with pytest.raises(MovedElsewhere):
            await act
    assert len(server.kept(name)) == 1


async def test_a_bare_password_is_the_one_of_the_user_that_the_tag_slots_names(server: Server) -> None:
    name, password = server.new_user()
    spec = make_spec("redis-user", target=server.address, slots=(name,))
    job = job_for(server, password, spec=spec)
    proof = await ROTATOR.prove(job)
    assert (proof.slot, proof.realm) == (slot_of(name, hash_of(SecretValue(password))), f"redis:{server.address}")
    new = (await ROTATOR.apply(job, ROTATOR.draft(job))).credential
    assert server.lets_in(name, new.value.reveal())


@pytest.mark.parametrize(
    ("value", "target", "field"),
    [
        ("redis://:pw@cache.example/0", None, "value"),
        ("cache.example:6379,password=pw", None, "value"),
        ('{"host": "cache.example", "port": 6379, "password": "pw-1"}', None, "slots"),
        ("redis://default:pw@cache.example/0", None, "value"),
        ("redis://app:pw@cache.example/0", "cache.example:0", "target"),
        ("redis://app:pw@cache.example/0", "cache.example/1", "target"),
        ("redis://app:pw@cache.example/0", "/subscriptions/x", "target"),
        ("redis://app:pw@cache.example/0", ",".join(f"c{number}.example" for number in range(17)), "target"),
        ('{"username": "app", "password": "pw-1"}', None, "target"),
        ("postgresql://app:pw@db.example/0", None, "value"),
    ],
)  # fmt: skip
def test_what_names_no_user_or_no_server_of_its_own_is_refused(value: str, target: str | None, field: str) -> None:
    with pytest.raises(Unusable) as refused:
        ROTATOR.requested_access(make_spec("redis-user", target=target), make_secret(value))
    assert refused.value.field == field


@pytest.mark.parametrize("value", ["redis://:pw@cache.example/0", "cache.example:6379,password=pw,ssl=True"])
def test_no_tag_makes_the_user_default_another_one(value: str) -> None:
    """Its clients log in as `default`, whoever else may have the same password."""
    with pytest.raises(Unusable, match="user `default`"):
        ROTATOR.requested_access(make_spec("redis-user", slots=("app",)), make_secret(value))


def test_a_rule_lists_the_user_and_both_places_of_its_password_are_asked_for() -> None:
    access = ROTATOR.requested_access(make_spec("redis-user"), make_secret("redis://app:pw@Cache.Example/0"))
    assert (access.listed, access.slots, access.targets) == (("app",), ("app:a", "app:b"), ("cache.example:6379",))
    assert access.current_slot in access.slots


async def test_where_nobody_answers_nothing_is_said_to_be_wrong() -> None:
    port = redis_fixtures.free_port()
    job = replace(
        make_job(ROTATOR, make_spec("redis-user"), make_secret(f"redis://app:pw-1@127.0.0.1:{port}/0"), "app:a"),
        tls=Tls.VERIFY_FULL,
    )
    job = replace(job, current=Credential(job.current.value, job.access.current_slot or ""))
    with pytest.raises(RotationError) as error:
        await ROTATOR.prove(job)
    assert isinstance(error.value, Unreachable)
