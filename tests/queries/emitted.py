"""What the app really emits, as the rows that Azure Monitor makes of it."""

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock, Mock, patch

from app.messages import to_text
from app.notifier import Notifier
from app.poison import PoisonQueueMonitor
from app.shutdown import Shutdown
from handlers.rotate import rotate
from rotation.errors import RotationError, Unreachable
from rotation.model import Reason, RotationRequest, SecretItem
from rotation.policy import Policy
from tests.queries.kusto import Workspace
from tests.telemetry.watched import Watched
from tests.world import NAME, REF

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


class _Broken:
    def __init__(self, name: str) -> None:
        self.name = name

    async def secrets(self) -> AsyncIterator[SecretItem]:
        raise Unreachable("the vault does not answer")
        yield


class Emitter(Watched):
    """A world whose handlers' log lines, traces and metrics go into a workspace, at the time that a test says."""

    def __init__(self, workspace: Workspace) -> None:
        super().__init__()
        self.workspace = workspace
        self.permitted = True

    @property
    def policy(self) -> Policy:
        return super().policy if self.permitted else Policy(())

    async def message(self, text: str | None = None, *, after: timedelta = timedelta()) -> None:
        """The queue brings a message; without one, the usual request. A transient error is the platform's, as there."""
        request = RotationRequest(REF, self.vault.latest(NAME).version, Reason.NEAR_EXPIRY, "test", early=True)
        app: Any = SimpleNamespace(
            engine=self.engine, notifier=Notifier(None, Mock()), request_queue=AsyncMock(), shutdown=Shutdown()
        )
        with self._emitting(after):
            try:
                await rotate(app, to_text(request) if text is None else text)
            except RotationError as error:
                assert error.transient

    async def swept(self, *broken: str, after: timedelta = timedelta()) -> None:
        """The timer. broken: names of further vaults, which can't be read."""
        vaults: dict[str, Any] = {name: _Broken(name) for name in broken}
        with self._emitting(after):
            await self.sweep(vaults | {"kv": self.vault})

    async def poison_found(self, *texts: str) -> None:
        """The sweep's look into the poison queue finds these."""
        with patch("azure.storage.queue.aio.QueueClient") as made, self._emitting(timedelta()):
            client = made.return_value.__aenter__.return_value
            client.peek_messages = AsyncMock(return_value=[SimpleNamespace(content=text) for text in texts])
            await PoisonQueueMonitor("https://st.queue.core.windows.net", Mock()).tell()

    def host_says(self, message: str) -> None:
        """A line of the Functions host's own."""
        self.workspace.put("AppTraces", NOW, Message=message, Properties={"Category": "Host.Queues"})

    @contextmanager
    def _emitting(self, after: timedelta) -> Iterator[None]:
        """What is emitted inside becomes rows. The span around it is the host's, of the invocation."""
        logger = logging.getLogger("keyturn")
        level = logger.level
        logger.setLevel(logging.INFO)
        logger.addHandler(self.recorded.handler)
        try:
            with self.recorded.tracers.get_tracer("host").start_as_current_span("function"):
                yield
        finally:
            logger.removeHandler(self.recorded.handler)
            logger.setLevel(level)
        self._store(NOW + after)

    def _store(self, at: datetime) -> None:
        for number, line in enumerate(self.recorded.logs_out.get_finished_logs()):
            record = line.log_record
            self.workspace.put(
                "AppTraces",
                at + timedelta(milliseconds=100 + number),
                Message=str(record.body),
                OperationId=f"{record.trace_id:032x}",
                Properties={name: str(fact) for name, fact in (record.attributes or {}).items()},
            )
        for number, span in enumerate(self.recorded.spans()):
            assert span.context is not None
            assert span.start_time is not None
            assert span.end_time is not None
            self.workspace.put(
                "AppDependencies",
                at + timedelta(milliseconds=number),
                Name=span.name,
                DurationMs=(span.end_time - span.start_time) / 1e6,
                OperationId=f"{span.context.trace_id:032x}",
                Properties={name: str(fact) for name, fact in (span.attributes or {}).items()},
            )
        self.recorded.logs_out.clear()
        self.recorded.spans_out.clear()
