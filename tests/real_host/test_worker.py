"""The gRPC client of the worker library, before a host that says what it likes.

What is sent when: FunctionRpc.proto of Azure/azure-functions-language-worker-protobuf.
"""

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from local.host import protos
from tests.integration.host_fixtures import TOY

WORKER = Path(__file__).parent / "workers" / "python" / "worker.py"
MESSAGES = protos.load()
WITHIN_S = 60.0


class Host:
    """Takes one worker's stream."""

    def __init__(self) -> None:
        self._to_worker: asyncio.Queue[Any] = asyncio.Queue()
        self._said: asyncio.Queue[Any] = asyncio.Queue()
        self.logs: list[Any] = []
        self.process: Process
        self._server: Any = None

    async def start(self, journal: Path) -> None:
        async def stream(messages: AsyncIterator[Any], _context: Any) -> AsyncIterator[Any]:
            reading = asyncio.create_task(self._read(messages))
            while (message := await self._to_worker.get()) is not None:
                yield message
            reading.cancel()

        handler = grpc.stream_stream_rpc_method_handler(
            stream, MESSAGES.StreamingMessage.FromString, MESSAGES.StreamingMessage.SerializeToString
        )
        self._server = grpc.aio.server()
        service = grpc.method_handlers_generic_handler(
            "AzureFunctionsRpcMessages.FunctionRpc", {"EventStream": handler}
        )
        self._server.add_generic_rpc_handlers((service,))
        port = self._server.add_insecure_port("127.0.0.1:0")
        await self._server.start()
        twice = {
            "host": "127.0.0.1",
            "port": str(port),
            "workerId": "w1",
            "requestId": "r1",
            "grpcMaxMessageLength": "9999999",
        }
        options = [part for name, value in twice.items() for part in (f"--{name}", value)]
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, str(WORKER), *options, "--functions-worker-id", "w1", stdout=PIPE, stderr=PIPE,
            env={**os.environ, "JOURNAL": str(journal)},
        )  # fmt: skip

    async def _read(self, messages: AsyncIterator[Any]) -> None:
        async for message in messages:
            if message.WhichOneof("content") == "rpc_log":
                self.logs.append(message.rpc_log)
            else:
                self._said.put_nowait(message)

    def say(self, request_id: str = "r2", **content: Any) -> None:
        self._to_worker.put_nowait(MESSAGES.StreamingMessage(request_id=request_id, **content))

    async def hear(self, kind: str) -> Any:
        async with asyncio.timeout(WITHIN_S):
            message = await self._said.get()
        assert message.WhichOneof("content") == kind
        return getattr(message, kind)

    async def index(self, app: Path = TOY) -> dict[str, Any]:
        """The handshake -> the functions' metadata by name."""
        assert (await self.hear("start_stream")).worker_id == "w1"
        self.say(worker_init_request=MESSAGES.WorkerInitRequest(host_version="4.1037", function_app_directory=str(app)))
        told = await self.hear("worker_init_response")
        assert told.result.status == MESSAGES.StatusResult.Success, told.result.exception.message
        self.say(functions_metadata_request=MESSAGES.FunctionsMetadataRequest(function_app_directory=str(app)))
        found = (await self.hear("function_metadata_response")).function_metadata_results
        for one in found:
            self.say(function_load_request=MESSAGES.FunctionLoadRequest(function_id=one.function_id, metadata=one))
            assert (await self.hear("function_load_response")).function_id == one.function_id
        return {one.name: one for one in found}

    def invoke(self, function: Any, invocation: str, **data: Any) -> None:
        name = next(name for name, binding in function.bindings.items() if binding.type.lower().endswith("trigger"))
        given = [MESSAGES.ParameterBinding(name=name, data=MESSAGES.TypedData(**data))]
        request = MESSAGES.InvocationRequest(
            invocation_id=invocation, function_id=function.function_id, input_data=given,
            trigger_metadata={"DequeueCount": MESSAGES.TypedData(string="1")},
        )  # fmt: skip
        self.say(invocation_request=request)

    async def gone(self) -> int:
        """The stream is ended from here -> the worker's exit code."""
        self._to_worker.put_nowait(None)
        async with asyncio.timeout(WITHIN_S):
            return await self.process.wait()

    async def stop(self) -> None:
        if self.process.returncode is None:
            self.process.kill()
            await self.process.wait()
        await self._server.stop(None)


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[Host]:
    host = Host()
    await host.start(tmp_path / "journal")
    yield host
    await host.stop()


async def test_an_app_is_indexed_and_invoked_and_its_log_names_the_invocation(host: Host, tmp_path: Path) -> None:
    functions = await host.index()
    assert set(functions) == {"on_event", "on_work", "on_tick", "on_eighth_day", "echo", "everybody"}
    host.invoke(functions["on_work"], "i1", string="parcel")
    told = await host.hear("invocation_response")
    assert (told.invocation_id, told.result.status) == ("i1", MESSAGES.StatusResult.Success)
    assert "done parcel" in (tmp_path / "journal").read_text()
    assert "i1" in {line.invocation_id for line in host.logs}
    event = {
        "id": "1",
        "topic": "t",
        "subject": "job",
        "eventType": "K",
        "eventTime": "2026-01-01T00:00:00Z",
        "data": {},
    }
    host.invoke(functions["on_event"], "i2", json=json.dumps(event | {"dataVersion": "1"}))
    (output,) = (await host.hear("invocation_response")).output_data
    assert (output.name, output.data.string) == ("message", "job")


async def test_a_function_that_raises_is_a_failure_and_the_next_one_runs(host: Host) -> None:
    functions = await host.index()
    host.invoke(functions["on_work"], "i1", string="hopeless")
    assert (await host.hear("invocation_response")).result.status == MESSAGES.StatusResult.Failure
    host.say(worker_status_request=MESSAGES.WorkerStatusRequest())
    await host.hear("worker_status_response")
    host.invoke(functions["on_work"], "i2", string="parcel")
    assert (await host.hear("invocation_response")).result.status == MESSAGES.StatusResult.Success


async def test_an_invocation_that_is_cancelled_is_answered_as_such(host: Host) -> None:
    functions = await host.index()
    host.invoke(functions["on_work"], "i1", string="slow")
    host.invoke(functions["on_work"], "i2", string="parcel")
    assert (await host.hear("invocation_response")).invocation_id == "i2"
    host.say(invocation_cancel=MESSAGES.InvocationCancel(invocation_id="nobody"))
    host.say(invocation_cancel=MESSAGES.InvocationCancel(invocation_id="i1"))
    told = await host.hear("invocation_response")
    assert (told.invocation_id, told.result.status) == ("i1", MESSAGES.StatusResult.Cancelled)


async def test_asked_to_stop_it_stops_after_the_time_that_it_is_given(host: Host) -> None:
    functions = await host.index()
    host.invoke(functions["on_work"], "i1", string="slow")
    host.invoke(functions["on_work"], "i2", string="parcel")
    await host.hear("invocation_response")
    stop = MESSAGES.WorkerTerminate()
    stop.grace_period.FromSeconds(1)
    host.say(worker_terminate=stop)
    async with asyncio.timeout(WITHIN_S):
        assert await host.process.wait() == 0


async def test_a_host_that_goes_away_ends_a_worker_that_has_nothing_to_do(host: Host) -> None:
    await host.index()
    assert await host.gone() == 0


async def test_a_message_that_it_does_not_know_is_a_warning(host: Host) -> None:
    functions = await host.index()
    host.say(file_change_event_request=MESSAGES.FileChangeEventRequest())
    host.invoke(functions["on_work"], "i1", string="parcel")
    await host.hear("invocation_response")
    assert any("file_change_event_request" in line.message for line in host.logs)


async def test_an_app_that_does_not_start_says_why(host: Host, tmp_path: Path) -> None:
    (tmp_path / "function_app.py").write_text("raise SystemError('what is missing')\n")
    await host.hear("start_stream")
    host.say(worker_init_request=MESSAGES.WorkerInitRequest(function_app_directory=str(tmp_path)))
    told = await host.hear("worker_init_response")
    assert told.result.status == MESSAGES.StatusResult.Failure
    assert "what is missing" in told.result.exception.message
