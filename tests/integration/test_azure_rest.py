"""Calls to Azure's planes, by answers that no rotator brings about."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from local.azure.faults import Fault, Kind
from local.certificates import Certificates
from rotation.errors import Misconfigured, Unreachable
from rotation.rotators.azure import rest as azure_rest
from rotation.rotators.azure.rest import ApiClient, ApiResponse, session
from tests.local_azure import Place, opened


@pytest.fixture
async def place(tmp_path: Path, certificates: Certificates, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Place]:
    async with opened(tmp_path, certificates, monkeypatch) as running:
        yield running


async def test_an_answer_that_is_no_json_has_no_body_and_no_code(place: Place) -> None:
    async with session() as over:
        assert await ApiClient("Graph", place.azure.graph_url, place.tokens).get(over, "/nothing") == ApiResponse(
            404, {}, None
        )


async def test_a_code_that_is_no_code_is_not_shown(place: Place) -> None:
    fault = Fault(Kind.STATUS, status=400, code="see https://example.com/?key=value")
    with place.fault(fault):
        async with session() as over:
            answer = await ApiClient("Graph", place.azure.graph_url, place.tokens).get(over, "/")
    assert (answer.status, answer.code, answer.summary) == (400, None, "400")


async def test_the_body_of_an_answer_is_not_shown() -> None:
    assert "canary" not in repr(ApiResponse(200, {"value": "canary"}))


async def test_a_server_that_is_not_trusted_gets_nothing(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    with place.fault(Fault(Kind.DROP_BEFORE)) as fault:
        async with session() as over:
            with pytest.raises(Unreachable):
                await ApiClient("Graph", place.azure.graph_url, place.tokens).post(over, "/", {})
    assert fault.struck == 0


async def test_a_server_that_does_not_answer_is_given_up(
    certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.ca))
    monkeypatch.setattr(azure_rest, "CALL_S", 1.0)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificates.cert, certificates.key)
    asked, done = asyncio.Event(), asyncio.Event()

    async def never_answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await done.wait()
        writer.close()

    async with await asyncio.start_server(never_answer, "127.0.0.1", 0, ssl=tls) as server:
        port = server.sockets[0].getsockname()[1]
        async with session() as over:
            with pytest.raises(Unreachable, match="did not answer"):
                await ApiClient("It", f"https://127.0.0.1:{port}").get(over, "/")
        assert asked.is_set()
        done.set()


def test_nothing_is_sent_in_the_clear() -> None:
    with pytest.raises(Misconfigured, match="https"):
        ApiClient("It", "http://management.azure.com")
