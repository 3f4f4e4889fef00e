"""The Functions host's Python 3.13 worker, as Azure has it: the library azure-functions-runtime behind a gRPC client.

The host starts it with the arguments of `main` and speaks FunctionRpc.proto: one stream of messages each way.
Microsoft's own client (Azure/azure-functions-python-worker, workers/proxy_worker) is in no published package, so this
one stands for it. As there, the library says what the worker can do, every request is a task of its own, and the log
goes to the host.
A host that goes away takes nothing along: what runs is finished, then the process ends.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import AsyncIterator
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import grpc

STREAM = "/AzureFunctionsRpcMessages.FunctionRpc/EventStream"
CONNECTS_WITHIN_S = 10.0
# The library answers these; what the host is told of the other messages is said here.
BY_THE_LIBRARY = frozenset(
    {
        "worker_init_request",
        "functions_metadata_request",
        "function_load_request",
        "invocation_request",
        "function_environment_reload_request",
    }
)
ANSWERS = {"functions_metadata_request": "function_metadata_response"}
SYSTEM = ("azure_functions_worker", "azure_functions_runtime", "azure.functions")  # loggers that are not the app's
LEVELS = ((50, "Critical"), (40, "Error"), (30, "Warning"), (20, "Information"))
HOST, LOG = "host", logging.getLogger("azure_functions_worker")

_invocation: ContextVar[str] = ContextVar("invocation", default="")


@dataclass(frozen=True, slots=True)
class Call:
    """A request as the library takes it."""

    name: str
    request: Any
    properties: dict[str, Any]


class Worker:
    """One stream to one host. messages: the module FunctionRpc_pb2."""

    def __init__(self, address: str, worker_id: str, request_id: str, messages: ModuleType, longest: int) -> None:
        """longest: of one message, in bytes."""
        self._address = address
        self._worker_id = worker_id
        self._request_id = request_id
        self._messages = messages
        self._options = [("grpc.max_receive_message_length", longest), ("grpc.max_send_message_length", longest)]
        self._outgoing: asyncio.Queue[Any] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()
        self._running: dict[str, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Until the host ends the stream or asks to stop, and what runs is done.

        Raises:
            TimeoutError: nobody listens.
        """
        async with grpc.aio.insecure_channel(self._address, options=self._options) as channel:
            await asyncio.wait_for(channel.channel_ready(), CONNECTS_WITHIN_S)
            call = channel.stream_stream(
                STREAM,
                request_serializer=self._messages.StreamingMessage.SerializeToString,
                response_deserializer=self._messages.StreamingMessage.FromString,
            )(self._written())
            self._send(start_stream=self._messages.StartStream(worker_id=self._worker_id))
            logging.getLogger().addHandler(ToHost(self))
            try:
                async for message in call:
                    if message.WhichOneof("content") == "worker_terminate":
                        await self._finish(message.worker_terminate.grace_period.ToSeconds())
                        return
                    self._take(message)
            except grpc.aio.AioRpcError as error:
                print(f"worker: the host is gone ({error.code().name})", file=sys.stderr)  # noqa: T201  nobody else hears it
            await self._finish(None)

    async def _written(self) -> AsyncIterator[Any]:
        while True:
            yield await self._outgoing.get()

    def _send(self, request_id: str | None = None, **content: Any) -> None:
        message = self._messages.StreamingMessage(request_id=request_id or self._request_id, **content)
        self._loop.call_soon_threadsafe(self._outgoing.put_nowait, message)

    def log(self, record: logging.LogRecord, text: str) -> None:
        """A line of the log to the host, with the invocation that wrote it; from any thread."""
        kinds = self._messages.RpcLog
        level = next((name for least, name in LEVELS if record.levelno >= least), "Debug")
        category = "System" if record.name.startswith(SYSTEM) else "User"
        self._send(
            rpc_log=kinds(
                level=getattr(kinds, level),
                message=text,
                category=record.name,
                log_category=kinds.RpcLogCategory.Value(category),
                invocation_id=_invocation.get(),
            )
        )

    def _take(self, message: Any) -> None:
        name = message.WhichOneof("content")
        if name == "invocation_cancel":
            task = self._running.get(message.invocation_cancel.invocation_id)
            if task is not None:
                task.cancel()
            return
        task = self._loop.create_task(self._answer(name, message))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if name == "invocation_request":
            invocation = message.invocation_request.invocation_id
            self._running[invocation] = task
            task.add_done_callback(lambda _: self._running.pop(invocation, None))

    async def _answer(self, name: str, message: Any) -> None:
        if name == "worker_status_request":
            self._send(message.request_id, worker_status_response=self._messages.WorkerStatusResponse())
        elif name in BY_THE_LIBRARY:
            if name in {"worker_init_request", "function_environment_reload_request"}:
                _find_the_app(getattr(message, name).function_app_directory)
            answer = ANSWERS.get(name, name.replace("_request", "_response"))
            self._send(message.request_id, **{answer: await self._asked(name, message)})
        else:
            LOG.warning("a message that this worker does not know: %s", name)

    async def _asked(self, name: str, message: Any) -> Any:
        """The library's answer; a cancelled invocation is answered as such."""
        from azure_functions_runtime import handle_event  # noqa: PLC0415  after the app's folder is on the path

        if name == "invocation_request":
            _invocation.set(message.invocation_request.invocation_id)
        properties = {HOST: self._address.rpartition(":")[0], "protos": self._messages}
        try:
            return await getattr(handle_event, name)(Call(name, message, properties))
        except asyncio.CancelledError:
            if name != "invocation_request":
                raise
            status = self._messages.StatusResult
            return self._messages.InvocationResponse(
                invocation_id=message.invocation_request.invocation_id,
                result=status(status=status.Cancelled),
            )

    async def _finish(self, grace_s: float | None) -> None:
        """Let what runs come to its end, for so many seconds where the host says so."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=grace_s)


class ToHost(logging.Handler):
    """The log, to the host."""

    def __init__(self, worker: Worker) -> None:
        super().__init__()
        self._worker = worker

    def emit(self, record: logging.LogRecord) -> None:
        self._worker.log(record, self.format(record))


def _find_the_app(folder: str) -> None:
    """The app's modules before all others, as Azure has them; `import` looks for them anew."""
    if folder and folder not in sys.path:
        sys.path.insert(0, folder)
        sys.path_importer_cache.clear()
    if folder:
        os.chdir(folder)


def _messages() -> ModuleType:
    """The message classes, which this project has a reader of; its folder is on the path for no longer than that."""
    root = str(Path(__file__).resolve().parents[4])
    sys.path.insert(0, root)
    try:
        from local.host import protos  # noqa: PLC0415  see above
    finally:
        sys.path.remove(root)
    return protos.load()


async def _run(options: argparse.Namespace) -> None:
    address = f"{options.host}:{options.port}"
    await Worker(address, options.worker_id, options.request_id, _messages(), options.longest).run()


def main() -> int:
    """0, when the host has ended the stream."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--workerId", dest="worker_id", required=True)
    parser.add_argument("--requestId", dest="request_id", required=True)
    parser.add_argument("--grpcMaxMessageLength", dest="longest", type=int, default=-1)
    options, _same_again = parser.parse_known_args()  # the host says all of it twice, the second time as --functions-…
    debug = os.environ.get("PYTHON_ENABLE_DEBUG_LOGGING", "").lower() in {"1", "true"}
    logging.getLogger().setLevel(logging.DEBUG if debug else logging.INFO)
    asyncio.run(_run(options))
    return 0


if __name__ == "__main__":
    sys.exit(main())
