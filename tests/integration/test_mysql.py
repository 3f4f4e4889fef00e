"""The rotator `mysql` over real servers: MySQL, and MariaDB of two generations."""

import asyncio
import secrets
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from local.certificates import Certificates, ensure
from rotation.errors import Refused, Rejected, RotationError, Unreachable
from rotation.model import Applied, Credential, Job, SecretValue, Tls
from rotation.rotators.databases.database import Account as Login
from rotation.rotators.databases.database import AsksOtherwise, Endpoint
from rotation.rotators.databases.in_place import InPlace
from rotation.rotators.mysql.connect import connect
from rotation.rotators.mysql.connection import Connection
from rotation.rotators.mysql.database import MySQLDatabase
from rotation.rotators.mysql.refusals import Expired, MayNotLogIn
from tests.contract.secrets_at_hand import make_spec
from tests.integration.postgres_fixtures import Proxy, job_of, make_services
from tests.mysql import fixtures
from tests.mysql.fixtures import Account, Owner, by_owner, owned, trusted
from tests.mysql.server import OWNER_PASSWORD

ROTATOR = InPlace(MySQLDatabase(make_services()))


def of(*names: str) -> pytest.MarkDecorator:
    """Over these servers alone: a test of one is none of the others, and is not skipped there."""
    return pytest.mark.parametrize("running", names, indirect=True, scope="module")


@pytest.fixture(scope="module")
def authority_of_servers(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return ensure(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module", params=fixtures.NAMES)
def running(request: pytest.FixtureRequest, authority_of_servers: Certificates) -> Iterator[Owner]:
    with owned(request.param, authority_of_servers) as owner:
        yield owner


@pytest.fixture
def owner(running: Owner) -> Iterator[Owner]:
    with trusted(running):
        yield running


def job(owner: Owner, account: Account, *, by_admin: bool = False, **changes: Any) -> Job:
    value = owner.value(account)
    logins = (by_owner(owner),) if by_admin else None
    changes.setdefault("tls", Tls.VERIFY_FULL)
    return job_of(ROTATOR, value, logins=logins, spec=make_spec("mysql"), **changes)


async def changed(job: Job) -> Applied:
    return await ROTATOR.apply(job, ROTATOR.draft(job))


def password_of(applied: Applied) -> SecretValue:
    return MySQLDatabase(make_services()).read_login(applied.credential.value, make_spec("mysql")).password


async def refused(owner: Owner, account: Account, job: Job) -> RotationError:
    """Nothing has changed, and the old password works."""
    before = owner.kept(account)
    with pytest.raises(RotationError) as error:
        await changed(job)
    assert owner.kept(account) == before
    return error.value


@pytest.mark.parametrize("by_admin", [False, True])
async def test_no_log_ever_shows_a_new_password(owner: Owner, by_admin: bool) -> None:
    account = owner.account()
    new = password_of(await changed(job(owner, account, by_admin=by_admin)))
    assert owner.works(account.name, new)
    assert not owner.works(account.name, account.password)
    logs = dict(owner.server.written())
    assert {"general.log", "slow.log"} <= set(logs)
    assert any(name.startswith("binlog.0") for name in logs)
    assert account.name.encode() in logs["general.log"]
    assert [name for name, log in logs.items() if new.reveal().encode() in log] == []
    for table in ("events_statements_history_long", "events_statements_history", "events_statements_current"):
        said = owner.sql(f"SELECT COUNT(*) FROM performance_schema.{table} WHERE SQL_TEXT LIKE '%{new.reveal()}%' "  # noqa: S608
                         "AND SQL_TEXT NOT LIKE '%performance_schema%'")  # fmt: skip
        assert said == [(0,)]


@pytest.mark.parametrize(
    ("running", "by_admin"),
    [("mariadb", False), ("mariadb", True), ("mariadb-newest", False), ("mariadb-newest", True), ("mysql", True)],
    indirect=["running"],
    scope="module",
)
async def test_a_server_that_takes_a_hash_never_gets_a_password(owner: Owner, by_admin: bool) -> None:
    """Over a wire that can be read: without TLS. MySQL takes none from an account that changes itself."""
    account = owner.account()
    async with Proxy(owner.server.port) as proxy:
        spec = make_spec("mysql", target=f"127.0.0.1:{proxy.port}")
        value = owner.value(account, port=proxy.port)
        logins = (by_owner(owner),) if by_admin else None
        job = job_of(ROTATOR, value, logins=logins, spec=spec, tls=Tls.DISABLE)
        applied = await changed(job)
        await ROTATOR.verify(job, applied.credential)
        sent = bytes(proxy.sent)
    new = password_of(applied)
    assert owner.works(account.name, new)
    assert account.name.encode() in sent
    for password in (new, account.password, SecretValue(OWNER_PASSWORD)):
        assert password.reveal().encode() not in sent


async def test_it_is_proven_as_whose_it_is(owner: Owner) -> None:
    account = owner.account()
    proof = await ROTATOR.prove(job(owner, account))
    assert proof.slot == account.name
    if owner.is_mariadb:
        assert proof.realm == f"mysql:127.0.0.1:{owner.server.port}"
    else:
        [[identifier]] = owner.sql("SELECT @@server_uuid")
        assert proof.realm == f"mysql:{identifier}"


async def test_a_wrong_password_is_rejected_and_an_unknown_account_too(owner: Owner) -> None:
    account = owner.account()
    # MySQL asks for the password of a user whom it does not know in one way or another, at random.
    unknown = [Account(f"nobody_{number}_zw", account.password) for number in range(8)]
    for wrong in (Account(account.name, SecretValue("no-such-Zw4")), *unknown):
        with pytest.raises(Rejected):
            await ROTATOR.prove(job(owner, wrong))


async def test_only_the_account_that_logs_in_is_changed_where_its_name_is_there_for_other_hosts(owner: Owner) -> None:
    account = owner.account()
    owner.sql(f"CREATE USER '{account.name}'@'192.0.2.7' IDENTIFIED BY 'Other-pw-q81'")
    other = f"SHOW CREATE USER '{account.name}'@'192.0.2.7'"
    before = owner.sql(other)
    error = await refused(owner, account, job(owner, account, by_admin=True))
    assert "2 accounts" in error.message
    new = password_of(await changed(job(owner, account)))
    assert owner.works(account.name, new)
    assert owner.sql(other) == before


async def test_an_administrator_with_too_few_rights_hears_which_are_missing(owner: Owner) -> None:
    account, admin = owner.account(), owner.account()
    by = replace(by_owner(owner), value=SecretValue(owner.value(admin)))
    error = await refused(owner, account, job_of_logins(owner, account, by))
    assert "GRANT SELECT ON mysql.*" in error.message
    owner.sql(f"GRANT SELECT ON mysql.* TO '{admin.name}'@'%'")
    error = await refused(owner, account, job_of_logins(owner, account, by))
    assert "GRANT CREATE USER ON *.*" in error.message
    owner.sql(f"GRANT CREATE USER ON *.* TO '{admin.name}'@'%'")
    await changed(job_of_logins(owner, account, by))


def job_of_logins(owner: Owner, account: Account, *logins: Any) -> Job:
    return job_of(ROTATOR, owner.value(account), logins=logins, spec=make_spec("mysql"), tls=Tls.VERIFY_FULL)


@pytest.mark.parametrize("by_admin", [False, True])
async def test_who_is_locked_is_left_alone(owner: Owner, by_admin: bool) -> None:
    account = owner.account(more="ACCOUNT LOCK")
    error = await refused(owner, account, job(owner, account, by_admin=by_admin))
    assert "ACCOUNT UNLOCK" in error.message
    with pytest.raises(MayNotLogIn):
        await ROTATOR.prove(job(owner, account))


async def test_a_password_that_has_ended_is_set_anew_by_an_administrator(owner: Owner) -> None:
    account = owner.account(more="PASSWORD EXPIRE")
    with pytest.raises(Expired):
        await ROTATOR.prove(job(owner, account))
    new = password_of(await changed(job(owner, account, by_admin=True)))
    assert owner.works(account.name, new)


async def test_a_password_that_would_end_before_its_version_is_not_set(owner: Owner) -> None:
    account = owner.account(more="PASSWORD EXPIRE INTERVAL 30 DAY")
    error = await refused(owner, account, job(owner, account))
    assert "ends after 30 days" in error.message
    owner.sql(f"ALTER USER '{account.name}'@'%' PASSWORD EXPIRE NEVER")
    await changed(job(owner, account))


async def test_the_servers_own_end_of_passwords_counts_where_the_account_says_none(owner: Owner) -> None:
    account = owner.account(more="PASSWORD EXPIRE DEFAULT")
    owner.sql("SET GLOBAL default_password_lifetime = 45")
    try:
        error = await refused(owner, account, job(owner, account))
    finally:
        owner.sql("SET GLOBAL default_password_lifetime = 0")
    assert "ends after 45 days" in error.message


@of("mysql")
async def test_failed_logins_that_lock_an_account_would_lock_its_new_password(owner: Owner) -> None:
    account = owner.account(more="FAILED_LOGIN_ATTEMPTS 3 PASSWORD_LOCK_TIME 2")
    error = await refused(owner, account, job(owner, account))
    assert "FAILED_LOGIN_ATTEMPTS 0" in error.message


async def test_few_logins_in_an_hour_leave_none_for_the_consumers(owner: Owner) -> None:
    account = owner.account(more="WITH MAX_CONNECTIONS_PER_HOUR 9")
    error = await refused(owner, account, job(owner, account, by_admin=True))
    assert "MAX_CONNECTIONS_PER_HOUR 0" in error.message


async def test_nothing_is_changed_on_a_replica(owner: Owner) -> None:
    account = owner.account()
    owner.sql("SET GLOBAL read_only = 1")
    try:
        error = await refused(owner, account, job(owner, account))
        assert isinstance(error, Unreachable)
        assert "read-only" in error.message
        with pytest.raises(Unreachable):
            await ROTATOR.prove(job(owner, account))
    finally:
        owner.sql("SET GLOBAL read_only = 0")


async def test_a_pooler_that_was_not_asked_for_is_left_alone(owner: Owner, monkeypatch: pytest.MonkeyPatch) -> None:
    account = owner.account()
    monkeypatch.setattr(Connection, "greeted_as", 1)
    assert "ProxySQL" in (await refused(owner, account, job(owner, account))).message


async def test_a_certificate_of_a_stranger_is_refused(owner: Owner, tmp_path: Path) -> None:
    account = owner.account()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(ensure(tmp_path).ca))
        with pytest.raises(Refused, match="certificate"):
            await ROTATOR.prove(job(owner, account))


async def test_a_database_that_is_not_there_is_no_rejection(owner: Owner) -> None:
    account = owner.account()
    value = owner.value(account) + "no_such_database"
    with pytest.raises(Refused, match="no such database") as error:
        await ROTATOR.prove(job_of(ROTATOR, value, spec=make_spec("mysql"), tls=Tls.VERIFY_FULL))
    assert not isinstance(error.value, Rejected)
    assert "no_such_database" not in error.value.message


@of("mysql")
async def test_mysql_gets_no_password_without_tls(owner: Owner) -> None:
    account = owner.account()
    error = await refused(owner, account, job(owner, account, tls=Tls.DISABLE))
    assert "clear text" in error.message
    await changed(job(owner, account, tls=Tls.DISABLE, by_admin=True))  # by its hash


@of("mysql")
async def test_mysql_gets_no_password_where_it_logs_all(owner: Owner, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server can be told so at its start alone: what it says of its settings is what is looked at."""
    account = owner.account()
    said = Connection.query

    async def with_raw_logs(self: Connection, sql: str) -> Any:
        return [*await said(self, sql), *([("log_raw", "ON")] if sql.startswith("SHOW GLOBAL VARIABLES") else [])]

    monkeypatch.setattr(Connection, "query", with_raw_logs)
    assert "log_raw" in (await refused(owner, account, job(owner, account))).message
    await changed(job(owner, account, by_admin=True))  # by its hash


@of("mariadb", "mariadb-newest")
@pytest.mark.parametrize("identified", ["VIA mysql_native_password USING", "VIA ed25519 USING"])
async def test_each_way_of_mariadb_keeps_its_own(owner: Owner, identified: str) -> None:
    account = owner.account(f"IDENTIFIED {identified} PASSWORD('{{}}')")
    for by_admin in (False, True):
        new = password_of(await changed(job(owner, account, by_admin=by_admin)))
        assert not owner.works(account.name, account.password)
        assert owner.works(account.name, new)
        account = Account(account.name, new)
    assert ("ed25519" in owner.kept(account)) == ("ed25519" in identified)


@of("mariadb", "mariadb-newest")
@pytest.mark.parametrize("by_admin", [False, True])
async def test_a_way_without_a_password_is_kept_as_it_is(owner: Owner, by_admin: bool) -> None:
    account = owner.account("IDENTIFIED VIA unix_socket OR ed25519 USING PASSWORD('{}')")
    new = password_of(await changed(job(owner, account, by_admin=by_admin)))
    assert owner.works(account.name, new)
    assert "VIA unix_socket OR ed25519 USING" in owner.kept(account)


@of("mariadb", "mariadb-newest")
async def test_a_second_password_that_may_be_somebody_elses_is_never_dropped(owner: Owner) -> None:
    account = owner.account(
        "IDENTIFIED VIA mysql_native_password USING PASSWORD('{}') OR ed25519 USING PASSWORD('Other-pw-q82')"
    )
    for by_admin in (False, True):
        error = await refused(owner, account, job(owner, account, by_admin=by_admin))
        assert "several passwords" in error.message


@of("mariadb", "mariadb-newest")
async def test_one_password_in_several_ways_is_changed_in_all_of_them_or_in_none(owner: Owner) -> None:
    account = owner.account(
        "IDENTIFIED VIA mysql_native_password USING PASSWORD('{0}') OR ed25519 USING PASSWORD('{0}')"
    )
    error = await refused(owner, account, job(owner, account))
    assert "GRANT CREATE USER" in error.message
    owner.sql(f"GRANT CREATE USER ON *.* TO '{account.name}'@'%'")
    old = owner.kept(account)
    new = password_of(await changed(job(owner, account)))
    assert owner.works(account.name, new)
    assert not owner.works(account.name, account.password)
    kept = owner.kept(account)
    assert "mysql_native_password" in kept
    assert "ed25519" in kept
    assert not set(old.split("'")[5::2]) & set(kept.split("'")[5::2])


async def test_a_plug_in_that_is_not_known_is_left_alone(owner: Owner) -> None:
    identified = "IDENTIFIED VIA unix_socket" if owner.is_mariadb else "IDENTIFIED WITH auth_socket"
    if not owner.is_mariadb:
        owner.sql("INSTALL PLUGIN auth_socket SONAME 'auth_socket.so'") if not _has_socket(owner) else None
    account = owner.account(identified)
    error = await refused(owner, account, job(owner, account, by_admin=True))
    assert "takes no password" in error.message


def _has_socket(owner: Owner) -> bool:
    return bool(owner.sql("SELECT 1 FROM information_schema.plugins WHERE plugin_name = 'auth_socket'"))


@of("mariadb-newest")
async def test_what_newer_mariadb_has_and_is_not_known_is_left_alone(owner: Owner) -> None:
    owner.sql("INSTALL SONAME 'auth_parsec'")
    try:
        account = owner.account(
            "IDENTIFIED VIA mysql_native_password USING PASSWORD('{0}') OR parsec USING PASSWORD('{0}')"
        )
        for by_admin in (False, True):
            error = await refused(owner, account, job(owner, account, by_admin=by_admin))
            assert "plug-in besides" in error.message
        owner.sql(f"DROP USER '{account.name}'@'%'")
    finally:
        owner.sql("UNINSTALL SONAME 'auth_parsec'")


@of("mariadb", "mariadb-newest")
async def test_a_check_of_passwords_that_wants_to_see_them_is_named(owner: Owner) -> None:
    account = owner.account()
    owner.sql("INSTALL SONAME 'simple_password_check'")
    try:
        error = await refused(owner, account, job(owner, account))
    finally:
        owner.sql("UNINSTALL SONAME 'simple_password_check'")
    assert "strict_password_validation" in error.message


@of("mysql")
async def test_a_check_of_passwords_that_refuses_ours_is_named(owner: Owner) -> None:
    account = owner.account()
    owner.sql("INSTALL COMPONENT 'file://component_validate_password'", "SET GLOBAL validate_password.length = 200")
    try:
        error = await refused(owner, account, job(owner, account))
    finally:
        owner.sql("UNINSTALL COMPONENT 'file://component_validate_password'")
    assert "a check of new passwords" in error.message


@of("mysql")
async def test_an_owner_who_wants_the_current_password_gets_it(owner: Owner) -> None:
    account = owner.account(more="PASSWORD REQUIRE CURRENT")
    assert owner.works(account.name, password_of(await changed(job(owner, account))))


@of("mysql")
async def test_an_account_of_the_system_wants_an_administrator_of_the_system(owner: Owner) -> None:
    account, admin = owner.account(), owner.account()
    owner.sql(f"GRANT SYSTEM_USER ON *.* TO '{account.name}'@'%'", f"GRANT CREATE USER ON *.* TO '{admin.name}'@'%'",
              f"GRANT SELECT ON mysql.* TO '{admin.name}'@'%'")  # fmt: skip
    by = replace(by_owner(owner), value=SecretValue(owner.value(admin)))
    assert "SYSTEM_USER" in (await refused(owner, account, job_of_logins(owner, account, by))).message


async def test_names_and_passwords_of_any_characters_are_taken_as_they_are(owner: Owner) -> None:
    name, password = "o'brien\\ `x`@y", "q'\\\"`%u\u00e4\u20ac;--"
    quoted = name.replace("\\", "\\\\").replace("'", "''")
    owner.sql(f"DROP USER IF EXISTS '{quoted}'@'%'")
    by = password.replace("\\", "\\\\").replace("'", "''")
    owner.sql(f"CREATE USER '{quoted}'@'%' IDENTIFIED BY '{by}'")
    rotator, spec = InPlace(MySQLDatabase(make_services())), make_spec("mysql")
    value = f"mysql://o%27brien%5C%20%60x%60%40y:q%27%5C%22%60%25u%C3%A4%E2%82%AC%3B--@127.0.0.1:{owner.server.port}/"
    applied = await changed(job_of(rotator, value, spec=spec, tls=Tls.VERIFY_FULL))
    await ROTATOR.verify(
        job_of(rotator, applied.credential.value.reveal(), spec=spec, tls=Tls.VERIFY_FULL), applied.credential
    )


@of("mariadb", "mariadb-newest")
async def test_an_answer_that_was_lost_is_looked_for_before_it_is_done_again(owner: Owner) -> None:
    account = owner.account()
    async with Proxy(owner.server.port) as proxy:
        spec = make_spec("mysql", target=f"127.0.0.1:{proxy.port}")
        value = owner.value(account, port=proxy.port)
        first = job_of(ROTATOR, value, spec=spec, tls=Tls.DISABLE)
        draft = ROTATOR.draft(first)
        proxy.cut_after = b"SET PASSWORD"
        with pytest.raises(Unreachable, match="may have happened"):
            await ROTATOR.apply(first, draft)
        proxy.cut_after = None
        kept = owner.kept(account)
        applied = await ROTATOR.apply(replace(first, resumed=True), draft)
        assert owner.works(account.name, password_of(applied))
        assert owner.kept(account) == kept


async def test_a_server_that_says_nothing_is_left_after_the_time_and_whoever_is_cancelled_at_once() -> None:
    async def silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    login = Login("app", SecretValue("Silent-q83"), "")
    began = asyncio.get_running_loop().time()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await connect(Endpoint("127.0.0.1", port), login, Tls.DISABLE)
    assert asyncio.get_running_loop().time() - began < 3
    server.close()


@pytest.mark.parametrize("plugin", [b"mysql_clear_password", b"dialog", b"mysql_old_password"])
async def test_a_server_that_asks_for_the_password_itself_does_not_get_it(plugin: bytes) -> None:
    heard = bytearray()

    async def asks(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        greeting = b"\x0a8.0.36\0" + b"\x07\0\0\0" + b"saltsalt\0" + b"\xff\xf7" + b"\x21\x02\0" + b"\xff\x81\x15"
        greeting += bytes(10) + b"saltsaltsalt\0" + plugin + b"\0"
        writer.write(len(greeting).to_bytes(3, "little") + b"\0" + greeting)
        heard.extend(await reader.read(4096))
        switch = b"\xfe" + plugin + b"\0" + b"Password: \0"
        writer.write(len(switch).to_bytes(3, "little") + b"\x02" + switch)
        heard.extend(await reader.read(4096))
        writer.close()

    server = await asyncio.start_server(asks, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    password = secrets.token_urlsafe(12)
    with pytest.raises(AsksOtherwise):
        await connect(Endpoint("127.0.0.1", port), Login("app", SecretValue(password), ""), Tls.DISABLE)
    assert heard
    assert password.encode() not in heard
    server.close()


async def test_a_credential_of_another_form_is_none_of_ours(owner: Owner) -> None:
    account = owner.account()
    other = Credential(SecretValue(owner.value(account).replace("127.0.0.1", "elsewhere.invalid")), account.name)
    with pytest.raises(Rejected, match="not permitted"):
        await ROTATOR.verify(job(owner, account), other)
