"""What the contract's suite does not ask of RabbitMQ's users: what a change keeps, and what it refuses."""

import asyncio
import hashlib
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from rotation.errors import Refused, Rejected, Unreachable, Unusable
from rotation.model import Admin, Credential, Job, Login, LoginSource, SecretValue, Tls
from rotation.rotators import ROTATORS
from tests.contract.secrets_at_hand import make_job, make_secret, make_spec
from tests.integration import rabbitmq_fixtures
from tests.integration.postgres_fixtures import make_services
from tests.integration.rabbitmq_fixtures import Broker
from tests.integration.redis_fixtures import free_port

SERVICES = make_services()
IN_PLACE = ROTATORS["rabbitmq"].build(SERVICES)
IN_TURN = ROTATORS["rabbitmq-alternating"].build(SERVICES)


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    with TemporaryDirectory(prefix="keyturn-rabbitmq-") as folder, rabbitmq_fixtures.running(Path(folder)) as found:
        yield found


def url(broker: Broker, name: str, password: str, vhost: str = "") -> str:
    return f"amqp://{name}:{password}@{broker.address}/{vhost}"


def job_for(broker: Broker, value: str) -> Job:
    job = make_job(IN_PLACE, make_spec("rabbitmq", target=broker.management), make_secret(value), "")

    async def logins(slot: str) -> AsyncIterator[Login]:
        yield Login(LoginSource.VERSION, job.current.value, slot)
        yield broker.by_admin()

    current = Credential(job.current.value, job.access.current_slot or "")
    admin = Admin("secret", "rabbit-admin", broker.admin)
    return replace(job, current=current, tls=Tls.DISABLE, admin=admin, logins=logins)


def password_of(value: SecretValue) -> str:
    return value.reveal().split(":", 2)[2].partition("@")[0]


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
async def test_tags_limits_and_the_kind_of_hash_stay_and_permissions_are_not_touched(
    broker: Broker, algorithm: str
) -> None:
    name, password = broker.new_user("reports,orders_team")
    salt = b"salt"
    hashed = salt + getattr(hashlib, algorithm)(salt + password.encode()).digest()
    before = {
        "password_hash": b64encode(hashed).decode(), "tags": "reports,orders_team",
        "hashing_algorithm": f"rabbit_password_hashing_{algorithm}",
    }  # fmt: skip
    broker.ask("PUT", f"/users/{name}", before)
    broker.ask("PUT", f"/user-limits/{name}/max-connections", {"value": 7})
    permissions, was = broker.ask("GET", f"/users/{name}/permissions"), broker.user(name)
    job = job_for(broker, url(broker, name, password))
    assert (await IN_PLACE.prove(job)).realm == f"rabbitmq:{broker.management}"
    new = (await IN_PLACE.apply(job, IN_PLACE.draft(job))).credential
    now = broker.user(name)
    assert {**was, "password_hash": ""} == {**now, "password_hash": ""}
    assert now["limits"] == {"max-connections": 7}
    assert broker.ask("GET", f"/users/{name}/permissions") == permissions
    raw = b64decode(now["password_hash"])
    assert raw[4:] == getattr(hashlib, algorithm)(raw[:4] + password_of(new.value).encode()).digest()
    await IN_PLACE.verify(job, new)
    assert not await broker.lets_in(name, password)


async def test_no_log_of_the_broker_shows_a_password(broker: Broker) -> None:
    name, password = broker.new_user()
    job = job_for(broker, url(broker, name, password))
    new = (await IN_PLACE.apply(job, IN_PLACE.draft(job))).credential
    await IN_PLACE.verify(job, new)
    with pytest.raises(Rejected):
        await IN_PLACE.verify(job, job.current)
    for _ in range(150):  # it writes its log every few seconds
        if name in broker.log:
            break
        await asyncio.sleep(0.1)
    assert name in broker.log
    for hidden in (password, password_of(new.value), broker.admin_password):
        assert hidden not in broker.log


async def test_a_user_changes_nothing_without_the_tag_administrator(broker: Broker) -> None:
    for tags, may in (("monitoring", False), ("administrator", True)):
        name, password = broker.new_user(tags)
        job = job_for(broker, url(broker, name, password))

        async def logins(slot: str, value: SecretValue = job.current.value) -> AsyncIterator[Login]:
            yield Login(LoginSource.VERSION, value, slot)

        alone = replace(job, admin=None, logins=logins)
        if may:
            assert (await IN_PLACE.apply(alone, IN_PLACE.draft(alone))).login is None
        else:
            with pytest.raises(Refused, match="tag administrator"):
                await IN_PLACE.apply(alone, IN_PLACE.draft(alone))
        assert await broker.lets_in(name, password) is not may


async def test_a_user_that_is_not_there_is_not_made(broker: Broker) -> None:
    name, password = broker.new_user()
    job = job_for(broker, url(broker, name, password))
    broker.ask("DELETE", f"/users/{name}")
    with pytest.raises(Refused, match="there is no user"):
        await IN_PLACE.apply(job, IN_PLACE.draft(job))
    assert name not in {one["name"] for one in broker.ask("GET", "/users")}


@pytest.mark.parametrize("vhost", ["nowhere", "a%2Fb", "team%3Aapp", "a%2Bb", "50%25", "%C3%A4%20b", "a%23b%3Fc"])
async def test_a_right_password_for_a_virtual_host_that_is_shut_is_no_wrong_password(
    broker: Broker, vhost: str
) -> None:
    name, password = broker.new_user()
    job = job_for(broker, url(broker, name, password, vhost))
    with pytest.raises(Refused, match="virtual host") as refused:
        await IN_PLACE.prove(job)
    assert not isinstance(refused.value, Rejected)
    if vhost != "nowhere":
        broker.ask("PUT", f"/vhosts/{vhost}")
        broker.ask("PUT", f"/permissions/{vhost}/{name}", {"configure": "", "write": "", "read": ".*"})
        assert (await IN_PLACE.prove(job)).slot == name


async def test_another_cluster_than_the_values_own_is_not_changed(broker: Broker) -> None:
    """Where the passwords are changed, the value must log in too, though its user may have no tag there."""
    name, password = broker.new_user()
    job = job_for(broker, url(broker, name, f"{password[::-1]}"))
    with pytest.raises(Rejected):
        await IN_PLACE.prove(job)


async def test_of_two_users_the_old_one_has_no_password_after_its_grace_period(broker: Broker) -> None:
    (first, password), (second, _) = broker.new_user(), broker.new_user("reports")
    value = url(broker, first, password)
    spec = make_spec("rabbitmq-alternating", target=broker.management, slots=(first, second))
    job = replace(job_for(broker, value), spec=spec, access=IN_TURN.requested_access(spec, make_secret(value)))
    new = (await IN_TURN.apply(job, IN_TURN.draft(job))).credential
    assert new.slot == second
    assert await broker.lets_in(first, password)
    await IN_TURN.retire(replace(job, current=new), first)
    assert not await broker.lets_in(first, password)
    assert not await broker.lets_in(first, "")
    assert await broker.lets_in(second, password_of(new.value))
    assert broker.user(second)["tags"] == ["reports"]


@pytest.mark.parametrize(
    ("value", "target", "field"),
    [
        ("amqp://app:pw@mq.example/", None, "target"),
        ("amqp://app:pw@mq.example/", "/subscriptions/x/y", "target"),
        ('{"username": "app", "password": "pw-1", "host": "mq.example"}', "mq.example", "value"),
        ("redis://app:pw@mq.example/", "mq.example", "value"),
        ("Zq3-vK8_wP5tR1xY7mN2bC9d", "mq.example", "slots"),
    ],
)  # fmt: skip
def test_what_does_not_say_where_and_whom_is_refused(value: str, target: str | None, field: str) -> None:
    with pytest.raises(Unusable) as refused:
        IN_PLACE.requested_access(make_spec("rabbitmq", target=target), make_secret(value))
    assert refused.value.field == field


def test_the_management_api_and_the_values_own_servers_are_asked_for() -> None:
    access = IN_PLACE.requested_access(
        make_spec("rabbitmq", target="mq.example"), make_secret("amqps://app:pw@mq.example/orders")
    )
    assert (access.targets, access.slots) == (("mq.example:5671", "mq.example:15671"), ("app",))


async def test_where_nobody_answers_and_where_another_service_does_nothing_is_said_to_be_wrong(broker: Broker) -> None:
    name, password = broker.new_user()
    away = f"127.0.0.1:{free_port()}"
    job = job_for(broker, url(broker, name, password))
    for spec, kind in ((replace(job.spec, target=away), Unreachable), (replace(job.spec, target=broker.address), None)):
        moved = replace(job, spec=spec)
        moved = replace(moved, access=IN_PLACE.requested_access(spec, make_secret(job.current.value.reveal())))
        with pytest.raises((Unreachable, Refused)) as error:
            await IN_PLACE.prove(moved)
        assert not isinstance(error.value, Rejected)
        assert kind is None or isinstance(error.value, kind)
    with pytest.raises(Unreachable):  # TLS, to ports without
        await IN_PLACE.prove(replace(job, tls=Tls.VERIFY_FULL))
