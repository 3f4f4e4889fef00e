"""The stand-in for Azure's planes: strict where the real ones are, and forgetting nothing when it is killed."""

import asyncio
import contextlib
import json
import os
import signal
import ssl
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.core.pipeline.transport import AioHttpTransport
from azure.storage.blob.aio import BlobServiceClient

from local.azure.arm import SERVER_VERSIONS, STORAGE_VERSIONS
from local.azure.faults import Fault, Kind
from local.certificates import Certificates
from local.tokens import TENANT, TokenAuthority
from rotation.rotators.azure.rest import session as trusting_session
from rotation.rotators.azure.storage_key import API_VERSION
from tests.contract.harness_storage_key import key_works
from tests.local_azure import ACCOUNT, APPLICATION, CLIENT_ID, GROUP, Place, opened

SERVER = f"{GROUP}/providers/Microsoft.DBforPostgreSQL/flexibleServers/pg-demo"
VERSION = {"api-version": "2021-06-01"}  # of both resource providers


@pytest.fixture
async def place(tmp_path: Path, certificates: Certificates, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Place]:
    async with opened(tmp_path / "azure", certificates, monkeypatch) as running:
        yield running


@pytest.fixture
async def over(certificates: Certificates) -> AsyncIterator[aiohttp.ClientSession]:
    tls = ssl.create_default_context(cafile=certificates.ca)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls)) as opened_session:
        yield opened_session


async def call(
    over: aiohttp.ClientSession, authority: TokenAuthority, method: str, url: str, audience: str, **more: Any
) -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {authority.issue(audience)}"}
    async with over.request(method, url, headers=headers, **{"params": VERSION, **more}) as answer:
        body = await answer.read()
        return answer.status, json.loads(body) if body else None


# the planes


async def test_a_flexible_server_is_told_with_its_host(place: Place, over: aiohttp.ClientSession) -> None:
    place.azure.arm.add_server(SERVER, "localhost")
    url = place.azure.arm_url + SERVER.lower()
    status, body = await call(over, place.tokens.authority, "GET", url, "https://management.azure.com")
    assert status == 200
    assert body["properties"] == {"fullyQualifiedDomainName": "localhost", "state": "Ready", "version": "16"}
    assert (await call(over, place.tokens.authority, "GET", url + "2", place.azure.arm_url))[0] == 404


@pytest.mark.parametrize("plane", ["arm", "graph"])
async def test_a_token_for_another_plane_is_not_accepted(place: Place, over: aiohttp.ClientSession, plane: str) -> None:
    urls = {
        "arm": place.azure.arm_url + ACCOUNT,
        "graph": f"{place.azure.graph_url}/v1.0/applications/{APPLICATION}",
    }
    audiences = {"arm": place.azure.arm_url, "graph": place.azure.graph_url}
    for name, audience in audiences.items():
        status, _ = await call(over, place.tokens.authority, "GET", urls[plane], audience)
        assert (status == 200) is (name == plane)
    async with over.get(urls[plane]) as answer:
        assert answer.status == 401


@pytest.mark.parametrize(
    ("method", "path", "more", "status"),
    [
        ("GET", ACCOUNT, {"params": {}}, 400),
        ("DELETE", ACCOUNT, {}, 405),
        ("GET", ACCOUNT + "x", {}, 404),
        ("GET", GROUP, {}, 404),
        ("POST", ACCOUNT + "/regenerateKey", {"json": {"keyName": "key3"}}, 400),
        ("POST", ACCOUNT + "/regenerateKey", {"data": "no json"}, 400),
        ("POST", ACCOUNT.upper() + "/LISTKEYS", {}, 200),
    ],
)
async def test_the_resource_manager_is_strict(
    place: Place, over: aiohttp.ClientSession, method: str, path: str, more: dict[str, Any], status: int
) -> None:
    url = place.azure.arm_url + path
    assert (await call(over, place.tokens.authority, method, url, place.azure.arm_url, **more))[0] == status


@pytest.mark.parametrize(
    ("method", "action", "body", "status"),
    [
        ("GET", "", None, 200),
        ("PATCH", "", {}, 400),
        ("POST", "/addKey", {}, 400),
        ("POST", "/addPassword", {}, 200),
        ("POST", "/addPassword", {"passwordCredential": {"endDateTime": "soon"}}, 400),
        ("POST", "/addPassword", {"passwordCredential": {"endDateTime": "2001-01-01T00:00:00Z"}}, 400),
        ("POST", "/removePassword", {}, 400),
    ],
)
async def test_graph_is_strict(
    place: Place, over: aiohttp.ClientSession, method: str, action: str, body: dict[str, Any] | None, status: int
) -> None:
    url = f"{place.azure.graph_url}/v1.0/applications/{APPLICATION}{action}"
    answer = await call(over, place.tokens.authority, method, url, place.azure.graph_url, json=body)
    assert answer[0] == status


async def test_a_client_secret_is_told_once_and_kept_nowhere(
    place: Place, over: aiohttp.ClientSession, tmp_path: Path
) -> None:
    url = f"{place.azure.graph_url}/v1.0/applications/{APPLICATION}"
    audience = place.azure.graph_url
    _, added = await call(over, place.tokens.authority, "POST", url + "/addPassword", audience, json={})
    _, shown = await call(over, place.tokens.authority, "GET", url, audience)
    assert shown["passwordCredentials"][0]["hint"] == added["secretText"][:3]
    assert shown["passwordCredentials"][0]["secretText"] is None
    kept = b"".join(file.read_bytes() for file in (tmp_path / "azure").iterdir())
    assert added["keyId"].encode() in kept
    assert added["secretText"].encode() not in kept


async def test_the_blob_service_accepts_what_the_sdk_signs_with_the_right_key_alone(place: Place) -> None:
    url = f"{place.azure.plane.url}/blob/stdemo/"
    key = place.azure.arm.keys(ACCOUNT)["key2"]
    async with trusting_session() as over:
        transport = AioHttpTransport(session=over, session_owner=False)
        for offered, accepted in ((key, True), (key.swapcase(), False)):
            credential = {"account_name": "stdemo", "account_key": offered}
            client = BlobServiceClient(url, credential=credential, transport=transport, retry_total=0)
            if accepted:
                await client.get_service_properties()
                assert (await client.get_account_information())["account_kind"] == "StorageV2"
            else:
                with pytest.raises(ClientAuthenticationError):
                    await client.get_service_properties()


@pytest.mark.parametrize(
    "form",
    [
        {"client_id": APPLICATION},
        {"client_secret": "wrong"},
        {"grant_type": "password"},
        {"scope": "https://vault.azure.net"},
    ],
)
async def test_a_token_is_given_for_the_right_request_alone(
    place: Place, over: aiohttp.ClientSession, form: dict[str, str]
) -> None:
    right = {
        "grant_type": "client_credentials",
        "client_id": CLIENT_ID,
        "client_secret": place.azure.graph.add_secret(APPLICATION)["secretText"],
        "scope": "https://vault.azure.net/.default",
    }
    url = f"{place.azure.login_url}/{TENANT}/oauth2/v2.0/token"
    async with over.post(url, data=right) as answer:
        token = (await answer.json())["access_token"]
    assert place.tokens.authority.verify(token, "https://vault.azure.net")["appid"] == CLIENT_ID
    async with over.post(url, data={**right, **form}) as answer:
        assert answer.status in {400, 401}
        assert (await answer.json())["error_description"].startswith("AADSTS")
    async with over.post(url.replace(TENANT, APPLICATION), data=right) as answer:
        assert (await answer.json())["error_codes"] == [90002]


# the process


class AzureProcess:
    """`python -m local.azure`; killed and started again it works on the same data."""

    def __init__(self, directory: Path, certificates: Certificates) -> None:
        self.directory = directory
        self._certificates = certificates
        self._process: Process | None = None
        self.ready: dict[str, Any] = {}

    async def start(self) -> None:
        tls, files = self._certificates, self.directory
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "local.azure", "--data", str(files / "data"), "--cert", str(tls.cert), "--key", str(tls.key)),
            *("--signing-key", str(files / "signing.key"), "--ready-file", str(files / "ready.json")),
            stdout=PIPE,
            stderr=PIPE,
        )
        assert self._process.stdout is not None
        if (await self._process.stdout.readline()).startswith(b"azure: ready"):
            self.ready = json.loads((files / "ready.json").read_text())

    async def end(self, number: signal.Signals) -> tuple[int | None, str]:
        """Send the signal and wait. -> exit code, and what went to stderr."""
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            os.kill(
                self._process.pid, number
            )  # Process.send_signal asks for the exit code, which 3.11 then has not got
        _, err = await self._process.communicate()
        return self._process.returncode, err.decode()

    async def control(
        self, over: aiohttp.ClientSession, method: str, path: str, body: object = None
    ) -> tuple[int, Any]:
        headers = {"X-Control-Key": self.ready["control"]["key"]}
        async with over.request(method, f"{self.ready['control']['url']}/{path}", headers=headers, json=body) as answer:
            text = await answer.read()
            return answer.status, json.loads(text) if text else None


@pytest.fixture
async def process(
    tmp_path: Path, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[AzureProcess]:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.ca))
    made = AzureProcess(tmp_path, certificates)
    await made.start()
    yield made
    await made.end(signal.SIGKILL)


async def test_a_killed_process_forgets_nothing_that_it_answered(
    process: AzureProcess, over: aiohttp.ClientSession
) -> None:
    _, created = await process.control(over, "POST", "accounts", {"id": ACCOUNT})
    authority = TokenAuthority.from_file(process.directory / "signing.key")
    arm = process.ready["endpoints"]["arm"]
    _, body = await call(over, authority, "POST", arm + ACCOUNT + "/regenerateKey", arm, json={"keyName": "key2"})
    keys = {key["keyName"]: key["value"] for key in body["keys"]}
    assert keys["key1"] == created["keys"]["key1"]
    assert keys["key2"] != created["keys"]["key2"]
    first = process.ready
    await process.end(signal.SIGKILL)
    await process.start()
    assert process.ready["endpoints"] == first["endpoints"]
    assert process.ready["control"] == first["control"]
    assert await key_works(arm.removesuffix("/arm"), "stdemo", keys["key2"])
    assert not await key_works(arm.removesuffix("/arm"), "stdemo", created["keys"]["key2"])


async def test_the_control_calls_create_and_break_things(process: AzureProcess, over: aiohttp.ClientSession) -> None:
    application = {"object_id": APPLICATION, "app_id": CLIENT_ID, "display_name": "demo", "principal": True}
    assert (await process.control(over, "POST", "applications", application))[0] == 204
    status, added = await process.control(over, "POST", f"applications/{APPLICATION}/secrets", {"display_name": "x"})
    assert (status, added["displayName"]) == (200, "x")
    server = {"id": SERVER, "fqdn": "localhost", "state": "Stopped"}
    assert (await process.control(over, "POST", "servers", server))[0] == 204
    assert (await process.control(over, "POST", "propagation", {"seconds": 1.5}))[0] == 204
    assert (await process.control(over, "POST", "faults", {"kind": "status", "status": 503}))[0] == 204
    assert (await process.control(over, "DELETE", "faults"))[0] == 204
    for path, body in (
        ("accounts", {"id": SERVER}),
        ("servers", {"id": ACCOUNT, "fqdn": "x"}),
        ("applications", {"object_id": "x", "app_id": "y"}),
        (f"applications/{CLIENT_ID}/secrets", {}),
        ("propagation", {"seconds": "some"}),
        ("faults", {"kind": "flood"}),
        ("faults", {"status": 503}),
    ):
        assert (await process.control(over, "POST", path, body))[0] == 400, path
    process.ready["control"]["key"] = "wrong"
    assert (await process.control(over, "DELETE", "faults"))[0] == 401


async def test_a_second_process_on_the_same_data_says_so_and_ends(
    process: AzureProcess, certificates: Certificates
) -> None:
    second = AzureProcess(process.directory, certificates)
    await second.start()
    code, err = await second.end(signal.SIGTERM)
    assert code == 2
    assert err.strip().endswith("is in use by another process")


async def test_a_stopped_process_takes_its_ready_file_with_it(process: AzureProcess) -> None:
    assert (process.directory / "ready.json").stat().st_mode & 0o077 == 0
    assert await process.end(signal.SIGTERM) == (0, "")
    assert not (process.directory / "ready.json").exists()


# versions, errors and metadata


@pytest.mark.parametrize(
    ("path", "version", "code"),
    [
        (ACCOUNT, "", "MissingApiVersionParameter"),
        (ACCOUNT, "latest", "InvalidApiVersionParameter"),
        (ACCOUNT, "2023-5-1", "InvalidApiVersionParameter"),
        (ACCOUNT, "2024-08-01", "NoRegisteredProviderFound"),  # PostgreSQL's, not storage's
        (ACCOUNT + "/listKeys", "2099-01-01", "NoRegisteredProviderFound"),
        (ACCOUNT + "/regenerateKey", "2099-01-01", "NoRegisteredProviderFound"),
        (SERVER, "2023-05-01", "NoRegisteredProviderFound"),  # storage's, not PostgreSQL's
    ],
)
async def test_an_api_version_that_the_provider_does_not_know_is_refused(
    place: Place, over: aiohttp.ClientSession, path: str, version: str, code: str
) -> None:
    """azure-cli#27109; azure-rest-api-specs#11929."""
    place.azure.arm.add_server(SERVER, "localhost")
    before = place.azure.arm.keys(ACCOUNT)
    method = "POST" if path.endswith(("Key", "Keys")) else "GET"
    status, body = await call(
        over, place.tokens.authority, method, place.azure.arm_url + path, place.azure.arm_url,
        params={"api-version": version}, json={"keyName": "key1"},
    )  # fmt: skip
    assert (status, body["error"]["code"]) == (400, code)
    assert "innerError" not in body["error"], "the resource manager has none"
    assert place.azure.arm.keys(ACCOUNT) == before


def test_the_versions_that_the_app_asks_for_are_known() -> None:
    assert API_VERSION in STORAGE_VERSIONS
    assert "2021-06-01" in SERVER_VERSIONS, "azure-mgmt-rdbms 10.1.1 asks for this one"


async def test_graphs_errors_tell_the_ids_of_the_request(place: Place, over: aiohttp.ClientSession) -> None:
    """ "Microsoft Graph error responses and resource types": `innerError`."""
    unknown = f"{place.azure.graph_url}/v1.0/applications/{APPLICATION[:-1]}0"
    authority, url = place.tokens.authority, place.azure.graph_url
    status, body = await call(over, authority, "GET", unknown, url)
    assert (status, body["error"]["code"]) == (404, "Request_ResourceNotFound")
    assert body["error"]["innerError"].keys() == {"date", "request-id", "client-request-id"}
    place.azure.faults.add(
        Fault(Kind.STATUS, path="/graph/", status=429, code="TooManyRequests", headers={"Retry-After": "7"})
    )
    async with over.get(unknown) as answer:
        assert (answer.status, answer.headers["Retry-After"]) == (429, "7")
        assert "innerError" in (await answer.json())["error"]


@pytest.mark.parametrize("version", ["v2.0", "v1", "V1.0"])
async def test_a_version_of_graph_that_there_is_not_is_refused(
    place: Place, over: aiohttp.ClientSession, version: str
) -> None:
    url = f"{place.azure.graph_url}/{version}/applications/{APPLICATION}"
    status, body = await call(over, place.tokens.authority, "GET", url, place.azure.graph_url)
    assert (status, body["error"]["message"]) == (400, f"Invalid version: {version}")


async def test_the_authoritys_metadata_leads_to_its_tokens(place: Place, over: aiohttp.ClientSession) -> None:
    asked = {"api-version": "1.1", "authorization_endpoint": f"{place.azure.login_url}/{TENANT}/oauth2/v2.0/authorize"}
    async with over.get(f"{place.azure.login_url}/common/discovery/instance", params=asked) as answer:
        found = await answer.json()
    for document in (
        found["tenant_discovery_endpoint"],
        f"{place.azure.login_url}/{TENANT}/.well-known/openid-configuration",
    ):
        async with over.get(document) as answer:
            body = await answer.json()
        assert body["token_endpoint"] == f"{place.azure.login_url}/{TENANT}/oauth2/v2.0/token"
        assert body["issuer"] == f"https://login.microsoftonline.com/{TENANT}/v2.0"
        async with over.get(body["jwks_uri"]) as answer:
            assert await answer.json() == {"keys": []}
    for wrong in (
        "/elsewhere/v2.0/.well-known/openid-configuration",
        "/common/discovery/instance?authorization_endpoint=x",
    ):
        async with over.get(place.azure.login_url + wrong) as answer:
            assert answer.status == 400
            assert (await answer.json())["error_codes"]
