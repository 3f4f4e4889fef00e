"""How the rotators connect: what of the environment and of TLS counts, in any language of the server."""

import asyncio
import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg.pq
import pytest

from local.certificates import Certificates, ensure
from rotation.errors import Refused, Rejected, Unreachable
from rotation.model import Admin, Credential, Endpoints, Job, Login, LoginSource, SecretValue, Tls
from rotation.rotators.databases.in_place import InPlace
from rotation.rotators.postgres.database import PostgresDatabase
from tests.integration.postgres_fixtures import (
    ASKS_FOR_CLEAR_TEXT,
    Offered,
    Owner,
    Proxy,
    Role,
    Tokens,
    job_of,
    make_services,
    running,
    running_with_tls,
    version,
)

IDENTITY = Admin("identity")
HERE = Endpoints(arm="https://localhost:1")  # a stand-in for Azure's planes: tokens go to this machine
BY_IDENTITY = Login(LoginSource.ADMIN_IDENTITY, None, None)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return ensure(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def plain() -> Iterator[Owner]:
    with running() as owner:
        yield owner


@pytest.fixture(scope="module")
def owner(certificates: Certificates) -> Iterator[Owner]:
    """Serves TLS, in German where it can."""
    german = {"LANGUAGE": "de", "LC_ALL": "C.UTF-8"}
    with running_with_tls(certificates, settings={"lc_messages": "C.UTF-8"}, environment=german) as running_owner:
        yield running_owner


@pytest.fixture
def trusting(certificates: Certificates, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.ca))


@pytest.fixture
def rotator() -> InPlace:
    return InPlace(PostgresDatabase(make_services()))


def token(**claims: str) -> str:
    def part(content: dict[str, str]) -> str:
        return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")

    return f"{part({'alg': 'none'})}.{part(claims)}.c2lnbmVk"


# connections


async def test_no_more_connections_to_a_server_are_open_at_once_than_the_setting_says(plain: Owner) -> None:
    rotator = InPlace(PostgresDatabase(make_services(connections=2)))
    role = plain.role(attributes="LOGIN CONNECTION LIMIT 5")  # more than two: a server notices an end a little late
    job = job_of(rotator, plain.value(role))
    await asyncio.gather(*(rotator.verify(job, job.current) for _ in range(30)))
    unbound = InPlace(PostgresDatabase(make_services(connections=30)))
    told = await asyncio.gather(*(unbound.verify(job, job.current) for _ in range(30)), return_exceptions=True)
    assert any(isinstance(error, Unreachable) for error in told), "the server would have let more in"


async def test_a_connection_that_failed_or_was_given_up_lets_the_next_one_in(plain: Owner) -> None:
    rotator = InPlace(PostgresDatabase(make_services(connections=1)))
    role = plain.role()
    wrong = job_of(rotator, plain.value(role).replace(role.password.reveal(), "wrong"))
    right = job_of(rotator, plain.value(role))
    for _ in range(3):
        with pytest.raises(Rejected):
            await rotator.verify(wrong, wrong.current)
        with pytest.raises(Rejected):
            await rotator.apply(wrong, rotator.draft(wrong))
        given_up = [asyncio.create_task(rotator.verify(right, right.current)) for _ in range(3)]
        await asyncio.sleep(0.002)
        for task in given_up:
            task.cancel()
        await asyncio.gather(*given_up, return_exceptions=True)
    applied = await asyncio.wait_for(rotator.apply(right, rotator.draft(right)), 5)
    await asyncio.wait_for(rotator.verify(right, applied.credential), 5)


# languages


async def test_a_wrong_password_is_told_from_all_else_in_any_language(
    owner: Owner, rotator: InPlace, trusting: None
) -> None:
    role, full = owner.role(), owner.role(attributes="LOGIN CONNECTION LIMIT 0")
    job = job_of(rotator, owner.value(role).replace(role.password.reveal(), "wrong"), tls=Tls.VERIFY_FULL)
    with pytest.raises(Rejected):
        await rotator.verify(job, job.current)
    assert "fehlgeschlagen" in owner.server.log_path.read_text(), "the server speaks German"
    job = job_of(rotator, owner.value(full), tls=Tls.VERIFY_FULL)
    with pytest.raises(Unreachable, match="53300"):
        await rotator.verify(job, job.current)


# TLS


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
async def test_a_role_is_rotated_over_verified_tls(owner: Owner, rotator: InPlace, trusting: None, host: str) -> None:
    role = owner.role()
    job = job_of(rotator, owner.value(role, host=host), tls=Tls.VERIFY_FULL)
    await rotator.verify(job, (await rotator.apply(job, rotator.draft(job))).credential)


async def test_a_certificate_of_an_unknown_authority_is_refused(
    owner: Owner, rotator: InPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    job = job_of(rotator, owner.value(owner.role()), tls=Tls.VERIFY_FULL)
    with pytest.raises(Refused, match="SSL_CERT_FILE") as raised:
        await rotator.verify(job, job.current)
    assert not isinstance(raised.value, Rejected)


async def test_a_certificate_of_another_name_is_refused(
    owner: Owner, rotator: InPlace, trusting: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def here(_endpoint: object) -> list[str]:
        return ["127.0.0.1"]

    monkeypatch.setattr("rotation.rotators.postgres.connect._addresses", here)
    job = job_of(rotator, owner.value(owner.role(), host="db.example.com"), tls=Tls.VERIFY_FULL)
    with pytest.raises(Refused, match="not valid for this name"):
        await rotator.verify(job, job.current)


async def test_a_file_of_authorities_that_is_not_there_is_told(
    owner: Owner, rotator: InPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/nonexistent/ca.pem")
    job = job_of(rotator, owner.value(owner.role()), tls=Tls.VERIFY_FULL)
    with pytest.raises(Refused, match="SSL_CERT_FILE"):
        await rotator.verify(job, job.current)


async def test_a_server_without_tls_is_refused_where_the_policy_wants_it(plain: Owner, rotator: InPlace) -> None:
    role = plain.role()
    async with Proxy(plain.server.port) as proxy:
        # What a value says of TLS does not count.
        job = job_of(rotator, plain.value(role, port=proxy.port, query="?sslmode=disable"), tls=Tls.VERIFY_FULL)
        for call in (rotator.verify(job, job.current), rotator.apply(job, rotator.draft(job))):
            with pytest.raises(Refused, match="no TLS"):
                await call
        assert role.name.encode() not in proxy.sent


# the administrator's identity


@pytest.mark.parametrize(
    "claims",
    [
        {"upn": "{}", "app_displayname": "other"},
        {"xms_mirid": "/subscriptions/s/resourcegroups/g/providers/Microsoft.Web/sites/{}", "app_displayname": "other"},
        {"app_displayname": "{}"},
    ],
    ids=["a person", "a managed identity", "an application"],
)
async def test_a_token_logs_in_as_the_role_that_it_says(owner: Owner, trusting: None, claims: dict[str, str]) -> None:
    role, tokens = owner.role(), Tokens()
    admin = administrator(owner, tokens, claims)
    rotator = InPlace(PostgresDatabase(make_services(tokens, HERE)))
    job = job_of(rotator, owner.value(role), tls=Tls.VERIFY_FULL, admin=IDENTITY, logins=[BY_IDENTITY])
    await rotator.verify(job, (await rotator.apply(job, rotator.draft(job))).credential)
    assert tokens.scopes == ["https://ossrdbms-aad.database.windows.net/.default"]
    assert f'user="{admin.name}"' not in job.current.value.reveal()


def administrator(owner: Owner, tokens: Tokens, claims: dict[str, str]) -> Role:
    """A role whose password is the token, which the server wants to read, as Azure's servers do."""
    admin = owner.role(attributes="SUPERUSER LOGIN")
    tokens.text = token(**{name: text.format(admin.name) for name, text in claims.items()})
    owner.sql(f"ALTER ROLE {admin.name} PASSWORD '{tokens.text}'")
    owner.sql(f"GRANT {ASKS_FOR_CLEAR_TEXT} TO {admin.name}")
    return admin


async def test_the_policys_word_on_the_administrators_role_goes_before_the_tokens(owner: Owner, trusting: None) -> None:
    role, tokens = owner.role(), Tokens()
    admin = administrator(owner, tokens, {"upn": "somebody else"})
    rotator = InPlace(PostgresDatabase(make_services(tokens, HERE)))
    login = replace(BY_IDENTITY, user=admin.name)
    job = job_of(rotator, owner.value(role), tls=Tls.VERIFY_FULL, admin=IDENTITY, logins=[login])
    await rotator.verify(job, (await rotator.apply(job, rotator.draft(job))).credential)


async def test_a_token_is_never_sent_without_tls(plain: Owner) -> None:
    role, tokens = plain.role(), Tokens()
    administrator(plain, tokens, {"upn": "{}"})
    rotator = InPlace(PostgresDatabase(make_services(tokens, HERE)))
    async with Proxy(plain.server.port) as proxy:
        value = plain.value(role, port=proxy.port)
        job = job_of(rotator, value, tls=Tls.DISABLE, admin=IDENTITY, logins=[BY_IDENTITY])
        with pytest.raises(Refused, match="verify-full"):
            await rotator.apply(job, rotator.draft(job))
        assert not proxy.connections


@pytest.mark.parametrize(
    ("arm", "host", "shown"),
    [
        ("https://management.azure.com", "orders.postgres.database.azure.com", True),
        ("https://management.azure.com", "orders.private.postgres.database.azure.com", True),
        ("https://management.usgovcloudapi.net", "orders.postgres.database.usgovcloudapi.net", True),
        ("https://management.chinacloudapi.cn", "orders.postgres.database.chinacloudapi.cn", True),
        ("https://localhost:1", "localhost", True),
        ("https://management.azure.com", "127.0.0.1", False),
        ("https://management.azure.com", "db.example.com", False),
        ("https://management.azure.com", "postgres.database.azure.com", False),
        ("https://management.azure.com", "orders.postgres.database.azure.com.evil.example", False),
        ("https://management.azure.com", "evilpostgres.database.azure.com", False),
        ("https://management.azure.com", "orders.postgres.database.usgovcloudapi.net", False),
        ("https://management.usgovcloudapi.net", "orders.postgres.database.azure.com", False),
        ("https://management.example", "orders.postgres.database.azure.com", False),
        ("https://localhost:1", "orders.postgres.database.azure.com", False),
    ],
)
async def test_a_token_is_shown_to_the_clouds_own_servers_alone(
    monkeypatch: pytest.MonkeyPatch, arm: str, host: str, shown: bool
) -> None:
    asked: list[str] = []

    async def connect(endpoint: object, account: object, _tls: Tls) -> None:
        asked.append(str(endpoint))
        raise Unreachable("as far as it goes")

    monkeypatch.setattr("rotation.rotators.postgres.database.connect", connect)
    tokens = Tokens(token(upn="admin"))
    rotator = InPlace(PostgresDatabase(make_services(tokens, Endpoints(arm=arm))))
    value = f"postgresql://app:secret@{host}/app"
    job = job_of(rotator, value, tls=Tls.VERIFY_FULL, admin=IDENTITY, logins=[BY_IDENTITY])
    with pytest.raises(Unreachable if shown else Refused, match="far" if shown else 'admin = "secret:NAME"'):
        await rotator.apply(job, rotator.draft(job))
    assert bool(asked) is shown
    assert bool(tokens.scopes) is shown, "it is not even asked for"


async def test_of_several_servers_none_is_shown_the_token_unless_all_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = Tokens(token(upn="admin"))
    rotator = InPlace(PostgresDatabase(make_services(tokens)))
    value = "postgresql://app:secret@orders.postgres.database.azure.com:5432,db.example.com:5432/app"
    job = job_of(rotator, value, tls=Tls.VERIFY_FULL, admin=IDENTITY, logins=[BY_IDENTITY])
    with pytest.raises(Refused, match=r"db\.example\.com"):
        await rotator.apply(job, rotator.draft(job))
    assert not tokens.scopes


@pytest.mark.parametrize("text", ["", "x", "a.b.c", "a.e30.c", "a.W10.c", "a.eyJ1cG4iOjF9.c", "a.ÿ.c"])
async def test_a_token_that_does_not_say_its_role_is_told(owner: Owner, text: str) -> None:
    rotator = InPlace(PostgresDatabase(make_services(Tokens(text), HERE)))
    job = job_of(rotator, owner.value(owner.role()), tls=Tls.VERIFY_FULL, admin=IDENTITY, logins=[BY_IDENTITY])
    with pytest.raises(Refused, match="admin-user") as raised:
        await rotator.apply(job, rotator.draft(job))
    assert text not in raised.value.message or not text.strip("x")


# the environment


MISLEADING = {
    "PGSERVICE": "elsewhere",
    "PGHOST": "elsewhere.invalid",
    "PGHOSTADDR": "192.0.2.1",
    "PGPORT": "1",
    "PGDATABASE": "elsewhere",
    "PGUSER": "somebody",
    "PGPASSWORD": "something",
    "PGPASSFILE": "/nonexistent",
    "PGREQUIREAUTH": "password",
    "PGCHANNELBINDING": "require",
    "PGREQUIREPEER": "somebody",
    "PGSSLMODE": "verify-full",
    "PGSSLNEGOTIATION": "direct",
    "PGSSLROOTCERT": "/nonexistent",
    "PGSSLCERT": "/nonexistent",
    "PGSSLKEY": "/nonexistent",
    "PGSSLCERTMODE": "require",
    "PGGSSENCMODE": "require",
    "PGOPTIONS": "-c no_such_setting=1",
    "PGAPPNAME": "somebody",
    "PGCLIENTENCODING": "no-such-encoding",
    "PGTARGETSESSIONATTRS": "read-only",
    "PGMINPROTOCOLVERSION": "3.2",
    "PGCONNECT_TIMEOUT": "nonsense",
    "PGDATESTYLE": "nonsense",
    "PGTZ": "nonsense",
    "PGGEQO": "nonsense",
}


async def test_nothing_of_libpqs_environment_counts(
    plain: Owner, rotator: InPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    role = plain.role()
    for name, text in MISLEADING.items():
        monkeypatch.setenv(name, text)
    job = job_of(rotator, plain.value(role))
    await rotator.verify(job, (await rotator.apply(job, rotator.draft(job))).credential)
    assert "application_name=keyturn" in plain.server.log_path.read_text()


@pytest.mark.parametrize("name", sorted(MISLEADING))
async def test_each_of_them_alone_does_not_count_either(
    plain: Owner, rotator: InPlace, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    job = job_of(rotator, plain.value(plain.role()))
    monkeypatch.setenv(name, MISLEADING[name])
    await rotator.verify(job, job.current)


def test_libpq_knows_no_variable_that_leads_astray_and_is_not_tried_here() -> None:
    harmless = {
        "PGSSLCOMPRESSION", "PGSSLCRL", "PGSSLCRLDIR", "PGSSLSNI", "PGSSLMINPROTOCOLVERSION", "PGSSLMAXPROTOCOLVERSION",
        "PGMAXPROTOCOLVERSION", "PGKRBSRVNAME", "PGGSSLIB", "PGGSSDELEGATION", "PGLOADBALANCEHOSTS",
    }  # fmt: skip
    known = {option.envvar.decode() for option in psycopg.pq.Conninfo.get_defaults() if option.envvar}
    assert known - harmless <= MISLEADING.keys()


def test_the_driver_is_loaded_when_somebody_connects_and_not_before() -> None:
    shared = "rotation.rotators.databases.in_place, rotation.rotators.databases.alternating"
    modules = f"{shared}, rotation.rotators.postgres.database"
    code = f"import sys, {modules}; print('psycopg' in sys.modules)"
    root = Path(__file__).parents[2]
    told = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "False"


# several servers


def both(owner: Owner, role: Role, *places: str) -> str:
    here = f"{owner.server.host}:{owner.server.port}"
    return owner.value(role).replace(f"@{here}/", f"@{','.join(places)}/")


async def test_of_several_servers_one_that_is_down_is_passed_over(plain: Owner, rotator: InPlace) -> None:
    role = plain.role()
    async with Proxy(plain.server.port) as down:
        pass
    job = job_of(rotator, both(plain, role, f"127.0.0.1:{down.port}", f"127.0.0.1:{plain.server.port}"))
    assert len(job.access.targets) == 2
    await rotator.verify(job, (await rotator.apply(job, rotator.draft(job))).credential)


async def test_a_rejection_by_one_server_is_not_believed_while_another_one_can_not_be_asked(
    plain: Owner, rotator: InPlace
) -> None:
    role = plain.role()
    async with Proxy(plain.server.port) as down:
        pass
    wrong = replace(role, password=SecretValue("wrong"))
    value = both(plain, wrong, f"127.0.0.1:{down.port}", f"127.0.0.1:{plain.server.port}")
    job = job_of(rotator, value)
    with pytest.raises(Unreachable):
        await rotator.verify(job, job.current)
    with pytest.raises(Unreachable):
        await rotator.apply(job, rotator.draft(job))
    right = value.replace("wrong", role.password.reveal())
    new = (
        await rotator.apply(
            replace(job, logins=Offered((version(value), version(right))), resumed=True), rotator.draft(job)
        )
    ).credential
    await rotator.verify(job, new)


async def test_a_name_with_several_addresses_is_tried_at_each(
    plain: Owner, rotator: InPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def two(_endpoint: object) -> list[str]:
        return ["::1", "127.0.0.1"]

    monkeypatch.setattr("rotation.rotators.postgres.connect._addresses", two)
    job = job_of(rotator, plain.value(plain.role(), host="localhost"))
    await rotator.verify(job, job.current)


async def test_the_value_of_another_role_is_not_one_of_the_slot(plain: Owner, rotator: InPlace) -> None:
    role, other = plain.role(), plain.role()
    job: Job = job_of(rotator, plain.value(role))
    with pytest.raises(Rejected, match="not one of role"):
        await rotator.verify(job, Credential(SecretValue(plain.value(role)), other.name))
