"""Microsoft's worker library, called as its own process calls it: index, list, invoke."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.host import protos

log = logging.getLogger("keyturn.host.worker")


class IndexingError(Exception):
    """The app could not be indexed; the message is the app's own."""


class InvocationError(Exception):
    """A function raised. Of a foreign error only the type is told: its text may hold anything."""


@dataclass(frozen=True, slots=True)
class Function:
    """One function: its id for invocations, its bindings as Azure would get them."""

    name: str
    function_id: str
    bindings: tuple[Mapping[str, Any], ...]

    @property
    def trigger(self) -> Mapping[str, Any]:
        """Its trigger binding."""
        return next(binding for binding in self.bindings if binding["type"].lower().endswith("trigger"))


@dataclass(frozen=True, slots=True)
class _Call:
    name: str
    request: Any
    properties: Mapping[str, Any]


class Worker:
    """One app. The library's registry is global: one worker a process.

    An invocation that takes longer than `limit_s` ends all that run beside it too: the real host ends its worker's
    process.
    """

    def __init__(self, put: Callable[[str, list[str]], None]) -> None:
        self._put = put
        self._running: set[asyncio.Task[Any]] = set()
        self.limit_s: float | None = None  # host.json's functionTimeout
        self._protos = protos.load()
        self.functions: dict[str, Function] = {}

    async def index(self, app: Path) -> None:
        """Import and index the app.

        Raises:
            IndexingError: it does not start.
        """
        sys.path.insert(0, str(app))
        from azure_functions_runtime import handle_event  # noqa: PLC0415  reads the path at import

        init = self._protos.WorkerInitRequest(host_version="4.0", function_app_directory=str(app))
        answer = await handle_event.worker_init_request(self._call(worker_init_request=init))
        if answer.result.status != self._protos.StatusResult.Success:
            raise IndexingError(answer.result.exception.message)
        listed = await handle_event.functions_metadata_request(
            self._call(functions_metadata_request=self._protos.FunctionsMetadataRequest())
        )
        for found in listed.function_metadata_results:
            bindings = tuple(json.loads(text) for text in found.raw_bindings)
            self.functions[found.name] = Function(found.name, found.function_id, bindings)
            load = self._protos.FunctionLoadRequest(function_id=found.function_id, metadata=found)
            await handle_event.function_load_request(self._call(function_load_request=load))

    async def invoke(
        self, function: Function, data: Mapping[str, Any], metadata: Mapping[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Run a function on typed data -> (its return value, its outputs by name), both typed data.

        Raises:
            InvocationError: it raised.
        """
        from azure_functions_runtime import handle_event  # noqa: PLC0415  as above

        request = self._protos.InvocationRequest(
            invocation_id=str(uuid.uuid4()),
            function_id=function.function_id,
            input_data=[self._protos.ParameterBinding(name=name, data=value) for name, value in data.items()],
            trigger_metadata=metadata or {},
        )
        task = asyncio.ensure_future(handle_event.invocation_request(self._call(invocation_request=request)))
        answer = await self._ended(function, task)
        if answer.result.status != self._protos.StatusResult.Success:
            raise InvocationError(answer.result.exception.message.partition(":")[0])
        return answer.return_value, {output.name: output.data for output in answer.output_data}

    async def _ended(self, function: Function, task: asyncio.Task[Any]) -> Any:
        self._running.add(task)
        try:
            await asyncio.wait({task}, timeout=self.limit_s)
            if not task.done():
                log.error("Timeout value of %s s exceeded by function %s", self.limit_s, function.name)
                for one in self._running:
                    one.cancel()
                await asyncio.wait({task})
        finally:
            self._running.discard(task)
            task.cancel()  # of a call that is cancelled itself; else it is done
        if task.cancelled():
            raise InvocationError("TimeoutError")
        return task.result()

    async def run(self, function: Function, data: Mapping[str, Any], metadata: Mapping[str, Any] | None = None) -> Any:
        """As `invoke`, with what the function wrote to its queues put there; -> its return value.

        Raises:
            InvocationError: it raised; nothing was put.
        """
        returned, outputs = await self.invoke(function, data, metadata)
        for binding in function.bindings:
            output = outputs.get(binding["name"]) if binding["type"] == "queue" else None
            if output is not None:
                self._put(binding["queueName"], _bodies(output))
        return returned

    def data(self, **kind: Any) -> Any:
        """Typed data, of one kind: string=, json=, bytes=, http=."""
        return self._protos.TypedData(**kind)

    def http(self, **fields: Any) -> Any:
        """Typed data of an HTTP request."""
        return self._protos.TypedData(http=self._protos.RpcHttp(**fields))

    def _call(self, **message: Any) -> _Call:
        request = self._protos.StreamingMessage(**message)
        return _Call(next(iter(message)), request, {"host": "", "protos": self._protos})


def _bodies(output: Any) -> list[str]:
    """The messages of one output binding: a text is one, a JSON list is one for each element."""
    if output.WhichOneof("data") == "json":
        found = json.loads(output.json)
        if isinstance(found, list):
            return [one if isinstance(one, str) else json.dumps(one) for one in found]
        return [output.json]
    return [output.string or output.bytes.decode()]
