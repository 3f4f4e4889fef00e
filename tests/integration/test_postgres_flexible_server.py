"""A target that is a flexible server's id, with the real SDK against a stand-in for Azure Resource Manager."""

import ssl
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web

from local.certificates import Certificates, ensure
from rotation.errors import Refused, RotationError, Throttled, Unreachable
from rotation.model import Endpoints, SecretValue
from rotation.ports import RotatorDependencies
from rotation.rotators.databases.in_place import InPlace
from rotation.rotators.postgres import flexible_server
from rotation.rotators.postgres.database import PostgresDatabase
from rotation.rotators.postgres.flexible_server import Server, resolve
from tests.contract.secrets_at_hand import make_spec
from tests.integration.postgres_fixtures import Owner, Tokens, by_admin, job_of, make_services, running

ID = (
    "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg-orders"
    "/providers/Microsoft.DBforPostgreSQL/flexibleServers/orders-prod"
)


@dataclass(slots=True)
class Arm:
    """Answers with `status` and `properties`, and keeps what it was asked."""

    url: str = ""
    status: int = 200
    properties: dict[str, Any] = field(default_factory=dict)
    asked: list[web.Request] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.Response:
        self.asked.append(request)
        if self.status == 302:
            return web.Response(status=302, headers={"Location": "https://elsewhere.invalid/"})
        if self.status != 200:
            return web.json_response({"error": {"code": "Some", "message": "foreign words"}}, status=self.status)
        return web.json_response({"id": ID, "name": "orders-prod", "location": "here", "properties": self.properties})


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return ensure(tmp_path_factory.mktemp("tls"))


@pytest.fixture
async def arm(certificates: Certificates, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Arm]:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.ca))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.cert, certificates.key)
    stand_in = Arm(properties={"state": "Ready", "fullyQualifiedDomainName": "LocalHost", "version": "16"})
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", stand_in.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    stand_in.url = f"https://localhost:{runner.addresses[0][1]}"
    yield stand_in
    await runner.cleanup()


@pytest.fixture
def services(arm: Arm) -> RotatorDependencies:
    return make_services(Tokens("the-token"), Endpoints(arm=f"{arm.url}/arm"))


@pytest.fixture(scope="module")
def owner() -> Iterator[Owner]:
    with running() as running_owner:
        yield running_owner


async def test_a_server_is_found_by_its_id(arm: Arm, services: RotatorDependencies) -> None:
    assert await resolve(ID.lower(), services) == Server("localhost", "Ready", "16")
    [asked] = arm.asked
    assert asked.method == "GET"
    assert asked.path.lower() == f"/arm{ID}".lower()
    assert asked.headers["Authorization"] == "Bearer the-token"
    assert services.tokens.scopes == [f"{arm.url}/arm/.default"]  # type: ignore[attr-defined]


async def test_a_bare_password_is_rotated_on_the_server_that_the_id_leads_to(
    services: RotatorDependencies, owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rotation.rotators.postgres.database.PostgresDatabase.default_port", owner.server.port)
    role, rotator = owner.role(), InPlace(PostgresDatabase(services))
    spec = make_spec("postgres", target=ID, slots=(role.name,))
    job = job_of(rotator, role.password.reveal(), spec=spec)
    assert job.access.targets == (ID.lower(),)
    new = (await rotator.apply(job, rotator.draft(job))).credential
    await rotator.verify(job, new)
    assert owner.works(role.name, new.value)


async def test_a_value_with_hosts_is_changed_at_the_id_and_proven_at_its_hosts(
    arm: Arm, services: RotatorDependencies, owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rotation.rotators.postgres.database.PostgresDatabase.default_port", owner.server.port)
    role, rotator = owner.role(), InPlace(PostgresDatabase(services))
    job = job_of(rotator, owner.value(role), spec=make_spec("postgres", target=ID), logins=[by_admin(owner)])
    assert job.access.targets == (f"127.0.0.1:{owner.server.port}", ID.lower())
    new = (await rotator.apply(job, rotator.draft(job))).credential
    assert len(arm.asked) == 1
    await rotator.verify(job, new)
    assert len(arm.asked) == 2


@pytest.mark.parametrize("state", ["Stopped", "Starting", "Updating", None, "evil words; here"])
async def test_a_server_that_does_not_run_is_told(arm: Arm, services: RotatorDependencies, state: str | None) -> None:
    arm.properties["state"] = state
    with pytest.raises(Unreachable, match="az postgres flexible-server start") as raised:
        await resolve(ID, services)
    assert (str(state) in raised.value.message) is (state in {"Stopped", "Starting", "Updating"})


@pytest.mark.parametrize(
    "host", ["db.example.com", "orders-prod.postgres.database.azure.com", "", None, "localhost.evil"]
)
async def test_a_stand_in_on_loopback_may_name_this_machine_alone(
    arm: Arm, services: RotatorDependencies, host: str | None
) -> None:
    arm.properties["fullyQualifiedDomainName"] = host
    with pytest.raises(Refused, match="suffix"):
        await resolve(ID, services)


@pytest.mark.parametrize(
    ("asked", "host", "believed"),
    [
        ("management.azure.com", "orders-prod.postgres.database.azure.com", True),
        ("management.azure.com", "Orders-Prod.Postgres.Database.Azure.com", True),
        ("management.azure.com", "orders-evil.postgres.database.azure.com", False),
        ("management.azure.com", "orders-prod.postgres.database.azure.com.evil.example", False),
        ("management.azure.com", "orders-prod.evil.example", False),
        ("management.azure.com", "localhost", False),
        ("management.azure.com", "orders-prod.postgres.database.usgovcloudapi.net", False),
        ("management.usgovcloudapi.net", "orders-prod.postgres.database.usgovcloudapi.net", True),
        ("management.chinacloudapi.cn", "orders-prod.postgres.database.chinacloudapi.cn", True),
        ("management.evil.example", "orders-prod.postgres.database.azure.com", False),
    ],
)
def test_a_host_is_believed_only_as_the_servers_own_name_in_the_cloud_that_was_asked(
    asked: str, host: str, believed: bool
) -> None:
    found = SimpleNamespace(state="Ready", fully_qualified_domain_name=host, version=None)
    if believed:
        assert flexible_server._ready(found, "orders-prod", asked) == Server(host.lower(), "Ready", None)
    else:
        with pytest.raises(Refused):
            flexible_server._ready(found, "orders-prod", asked)


@pytest.mark.parametrize(
    ("status", "error", "words"),
    [
        (302, Unreachable, "302"),
        (401, Refused, "managed identity"),
        (403, Refused, "role Reader"),
        (404, Refused, "no flexible server orders-prod"),
        (429, Throttled, "too many"),
        (500, Unreachable, "500"),
    ],
)
async def test_what_azure_answers_is_told_apart(
    arm: Arm, services: RotatorDependencies, status: int, error: type[RotationError], words: str
) -> None:
    arm.status = status
    with pytest.raises(error, match=words) as raised:
        await resolve(ID.lower(), services)
    assert type(raised.value) is error
    assert "foreign" not in raised.value.message
    assert len(arm.asked) == 1


async def test_an_azure_that_does_not_answer_is_asked_later(services: RotatorDependencies) -> None:
    nowhere = make_services(Tokens("the-token"), Endpoints(arm="https://localhost:1"))
    with pytest.raises(Unreachable, match="did not answer"):
        await resolve(ID, nowhere)


async def test_a_token_never_goes_out_in_the_clear(arm: Arm) -> None:
    plain = make_services(Tokens("the-token"), Endpoints(arm=arm.url.replace("https", "http")))
    with pytest.raises(Unreachable):
        await resolve(ID, plain)
    assert not arm.asked


async def test_an_identity_that_gets_no_token_is_told_as_it_is(arm: Arm) -> None:
    class NoTokens:
        async def token(self, _scope: str) -> SecretValue:
            raise Refused("no token")

    services = make_services(NoTokens(), Endpoints(arm=arm.url))
    with pytest.raises(Refused, match="no token"):
        await resolve(ID, services)
