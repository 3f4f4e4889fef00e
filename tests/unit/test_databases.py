"""The rotators of databases over a database that is not PostgreSQL, so that nothing of PostgreSQL is left in them.

It lives in memory, has two servers (a standby lags behind), its own words, and no server in Azure.
"""

import random
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from urllib.parse import urlsplit

import pytest

from rotation.errors import MovedElsewhere, NotYet, Refused, Rejected, Unreachable, Unusable
from rotation.formats import Value, read
from rotation.model import Admin, Applied, Credential, Endpoints, Job, Login, LoginSource, Proof, SecretValue, Spec, Tls
from rotation.ports import Connections, Rotator, RotatorDependencies
from rotation.rotators.databases.alternating import Alternating
from rotation.rotators.databases.database import Account, Endpoint, NoSuchLogin, OnStandby, Primary
from rotation.rotators.databases.in_place import InPlace
from tests.contract.secrets_at_hand import make_job, make_secret, make_spec

FIRST, SECOND, BOSS = "Xq7-first-Zt", "Xq7-second-Zt", "Xq7-boss-Zt"


class NoTokens:
    async def token(self, scope: str) -> SecretValue:
        pytest.fail(f"nobody is asked for a token for {scope}")


async def no_sleep(_seconds: float) -> None:
    pytest.fail("nothing is waited for")


@dataclass
class Server:
    """passwords: by login; None: the login is there, and no password is its own. ends: of which logins end soon."""

    passwords: dict[str, str | None]
    standby: bool = False
    pooler: bool = False
    up: bool = True
    identifier: str | None = "abc"
    started: str = "1"
    ends: set[str] = field(default_factory=set)
    open: int = 0


class Ledgerbase:
    """A database that keeps passwords in a dict; its logins are called accounts."""

    product = "Ledgerbase"
    noun = "account"
    realm_prefix = "ledgerbase:"
    changes_itself = True
    default_port = 7070
    maintenance_database = "inner"

    def __init__(self, **servers: Server) -> None:
        self.services = RotatorDependencies(
            NoTokens(), Endpoints(), lambda: datetime.now(UTC), no_sleep, random.Random(7), Connections(1)
        )
        self.servers = servers
        self.seen: list[str] = []

    def read_login(self, value: SecretValue, spec: Spec) -> Value:
        return read(value, spec.format)

    def resource(self, target: str) -> str:
        raise Unusable(f"Azure has no servers of {self.product}", field="target")

    async def endpoint_of(self, resource: str) -> Endpoint:
        pytest.fail(f"{resource} is none")

    async def by_identity(self, user: str | None, endpoints: Sequence[Endpoint]) -> Account:
        raise Refused(f"{user} has no token for {endpoints}")

    async def connect(self, endpoint: Endpoint, account: Account, tls: Tls) -> "Session":
        assert tls is Tls.VERIFY_FULL
        assert endpoint.port == self.default_port
        server = self.servers[endpoint.host]
        if not server.up:
            raise Unreachable(f"{endpoint} is down")
        if server.passwords.get(account.user) != account.password.reveal():
            raise Rejected(f"{endpoint} refused {account.user}")
        self.seen.append(f"{account.user}@{endpoint.host}/{account.dbname}")
        server.open += 1
        assert server.open == 1
        return Session(server, endpoint, account.user)


@dataclass
class Session:
    server: Server
    endpoint: Endpoint
    user: str

    def close(self) -> None:
        self.server.open -= 1

    async def is_standby(self) -> bool:
        return self.server.standby

    async def look(self, *, pooler_meant: bool) -> Primary:
        if self.server.pooler and not pooler_meant:
            raise Refused(f"{self.endpoint} is a pooler")
        if self.server.standby:
            raise OnStandby(f"{self.endpoint} is a standby")
        return Primary(self.endpoint, self.user, self.server.identifier, self.server.started)

    async def check_lasts(self, user: str, days: int) -> None:
        if user not in self.server.passwords:
            raise NoSuchLogin(f"no {user}")
        if user in self.server.ends:
            raise Refused(f"{user} ends within {days} days")

    async def set_password(self, user: str, password: SecretValue | None) -> None:
        if user not in self.server.passwords:
            raise NoSuchLogin(f"no {user}")
        self.server.passwords[user] = None if password is None else password.reveal()


def value(user: str, password: str, hosts: str = "one") -> str:
    return f"postgresql://{user}:{password}@{hosts}/books"  # a form that `rotation.formats` reads


def logins(*offered: Login) -> Callable[[str], AsyncIterator[Login]]:
    async def offer() -> AsyncIterator[Login]:
        for login in offered:
            yield login

    return lambda _slot: offer()


def version(text: str) -> Login:
    return Login(LoginSource.VERSION, SecretValue(text), None)


BY_BOSS = Login(LoginSource.ADMIN_SECRET, SecretValue(value("boss", BOSS)), None)


def job_of(rotator: Rotator, text: str, *offered: Login, slots: tuple[str, ...] = ()) -> Job:
    spec = make_spec("ledgerbase", slots=slots)
    return replace(
        make_job(rotator, spec, make_secret(text), urlsplit(text).username or ""),
        logins=logins(*(offered or (version(text),))),
    )


async def changed(rotator: Rotator, job: Job) -> Applied:
    return await rotator.apply(job, rotator.draft(job))


def test_its_own_port_and_words_are_used() -> None:
    rotator = InPlace(Ledgerbase())
    access = rotator.requested_access(make_spec("ledgerbase"), make_secret(value("app", FIRST)))
    assert access.targets == ("one:7070",)
    bare = make_spec("ledgerbase", target="one")
    with pytest.raises(Unusable, match="names no account"):
        rotator.requested_access(bare, make_secret(FIRST))
    with pytest.raises(Unusable, match="two accounts"):
        Alternating(Ledgerbase()).requested_access(make_spec("ledgerbase"), make_secret(value("app", FIRST)))
    with pytest.raises(Unusable, match="no servers of Ledgerbase"):
        rotator.requested_access(make_spec("ledgerbase", target="/x"), make_secret(value("app", FIRST)))


async def test_one_login_is_changed_in_place_by_its_own_password() -> None:
    database = Ledgerbase(one=Server({"app": FIRST}))
    rotator = InPlace(database)
    job = job_of(rotator, value("app", FIRST))
    assert await rotator.prove(job) == Proof("app", "ledgerbase:abc", "one:7070")
    new = (await changed(rotator, job)).credential
    await rotator.verify(job, new)
    with pytest.raises(Rejected):
        await rotator.verify(job, job.current)
    assert value("app", database.servers["one"].passwords["app"] or "") == new.value.reveal()
    await rotator.retire(job, "app")
    await rotator.verify(job, new)


async def test_where_a_login_may_not_change_itself_the_administrator_does_and_the_logins_own_are_not_tried() -> None:
    database = Ledgerbase(one=Server({"app": FIRST, "boss": BOSS}))
    database.changes_itself = False
    rotator = InPlace(database)
    boss = Login(LoginSource.ADMIN_SECRET, SecretValue(value("boss", BOSS)), None)
    job = replace(job_of(rotator, value("app", FIRST), version(value("app", FIRST)), boss), admin=Admin("secret", "x"))
    applied = await changed(rotator, job)
    assert applied.login is None, "it says nothing about the password in the vault"
    assert database.seen == ["boss@one/inner"]
    assert value("app", database.servers["one"].passwords["app"] or "") == applied.credential.value.reveal()


async def test_a_change_that_was_made_is_not_made_again() -> None:
    database = Ledgerbase(one=Server({"app": FIRST}))
    rotator = InPlace(database)
    job = job_of(rotator, value("app", FIRST))
    draft = rotator.draft(job)
    await rotator.apply(job, draft)
    database.servers["one"].ends = {"app"}  # a second change would be refused
    assert (await rotator.apply(replace(job, resumed=True), draft)).login is None


async def test_two_logins_take_turns_and_the_old_ones_password_ends() -> None:
    database = Ledgerbase(one=Server({"a": FIRST, "b": SECOND, "boss": BOSS}))
    rotator, admin = Alternating(database), Admin("secret", "boss")
    job = replace(job_of(rotator, value("a", FIRST), BY_BOSS, slots=("a", "b")), admin=admin)
    new = (await changed(rotator, job)).credential
    assert new.slot == "b"
    assert "boss@one/inner" in database.seen
    await rotator.verify(job, new)
    await rotator.verify(job, job.current)
    after = replace(job_of(rotator, new.value.reveal(), BY_BOSS, slots=("a", "b")), admin=admin)
    await rotator.retire(after, "a")
    assert database.servers["one"].passwords["a"] is None
    with pytest.raises(Refused, match="account 'b' is in use"):
        await rotator.retire(after, "b")
    del database.servers["one"].passwords["a"]
    await rotator.retire(after, "a")


async def test_without_an_administrator_the_old_login_is_parked() -> None:
    database = Ledgerbase(one=Server({"a": FIRST, "b": SECOND}))
    rotator = Alternating(database)
    job = job_of(rotator, value("a", FIRST), version(value("b", SECOND)), slots=("a", "b"))
    new = (await changed(rotator, job)).credential
    after = job_of(rotator, new.value.reveal(), version(value("a", FIRST)), slots=("a", "b"))
    with pytest.raises(Refused, match="no password is parked for account 'a'"):
        await rotator.retire(after, "a")
    standby = rotator.standby(after, "a")
    assert standby is not None
    await rotator.retire(replace(after, standby=Credential(standby, "a")), "a")
    await rotator.verify(after, Credential(standby, "a"))
    await rotator.retire(replace(after, standby=Credential(standby, "a")), "a")  # by no login that still works


async def test_a_standby_is_passed_over_and_may_lag_behind() -> None:
    database = Ledgerbase(late=Server({"app": FIRST}, standby=True), one=Server({"app": FIRST}))
    rotator = InPlace(database)
    job = job_of(rotator, value("app", FIRST, "late:7070,one:7070"))
    new = (await changed(rotator, job)).credential
    assert database.servers["late"].passwords["app"] == FIRST
    await rotator.verify(job, new)  # the primary accepts it, whatever the standby says
    at_standby = replace(job.spec, target="one:7070")
    access = replace(job.access, targets=("late:7070", "one:7070"))
    apart = replace(job, spec=at_standby, access=access)
    lagging = Credential(SecretValue(new.value.reveal().replace("late:7070,one:7070", "late")), "app")
    with pytest.raises(NotYet):
        await rotator.verify(apart, lagging)


async def test_another_server_than_was_proven_is_not_changed() -> None:
    database = Ledgerbase(one=Server({"app": FIRST}))
    rotator = InPlace(database)
    job = replace(job_of(rotator, value("app", FIRST)), realm="ledgerbase:other")
    with pytest.raises(MovedElsewhere, match="another Ledgerbase server"):
        await changed(rotator, job)
    assert database.servers["one"].passwords["app"] == FIRST
    for realm in ("ledgerbase:abc", "ledgerbase:one:7070", "postgresql:other"):
        job = job_of(rotator, value("app", database.servers["one"].passwords["app"] or ""))
        await changed(rotator, replace(job, realm=realm))


async def test_a_login_that_ends_too_soon_gets_no_password() -> None:
    database = Ledgerbase(one=Server({"app": FIRST}, ends={"app"}))
    with pytest.raises(Refused, match="ends within 90 days"):
        await changed(InPlace(database), job_of(InPlace(database), value("app", FIRST)))
    assert database.servers["one"].passwords["app"] == FIRST


async def test_a_rejection_is_not_believed_while_another_server_is_down() -> None:
    database = Ledgerbase(one=Server({"app": SECOND}), two=Server({"app": FIRST}, up=False))
    rotator = InPlace(database)
    job = job_of(rotator, value("app", FIRST, "one:7070,two:7070"))
    for call in (rotator.prove(job), changed(rotator, job), rotator.same_provider(job, "two")):
        with pytest.raises(Unreachable):
            await call


@pytest.mark.parametrize(("started", "same"), [("1", True), ("2", False)])
async def test_a_copy_is_told_from_the_server_by_its_start(started: str, same: bool) -> None:
    database = Ledgerbase(one=Server({"app": FIRST}), two=Server({"app": FIRST}, started=started))
    rotator = InPlace(database)
    job = job_of(rotator, value("app", FIRST))
    assert await rotator.realm(job, "app") == "ledgerbase:abc"
    assert await rotator.same_provider(job, "two") is same
    assert await rotator.same_provider(job, "one")


async def test_a_pooler_is_changed_through_only_where_the_tag_names_it() -> None:
    database = Ledgerbase(one=Server({"app": FIRST}, pooler=True))
    rotator = InPlace(database)
    job = job_of(rotator, value("app", FIRST))
    with pytest.raises(Refused, match="a pooler"):
        await changed(rotator, job)
    await changed(rotator, replace(job, spec=replace(job.spec, target="one")))
    assert database.servers["one"].passwords["app"] != FIRST
