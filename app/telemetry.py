"""What the engine and the sweep do, as OpenTelemetry's spans and metrics. docs/using.md lists every name.

The Functions worker starts the SDK, where the app's settings say so ("Use OpenTelemetry with Azure Functions" on
Microsoft Learn); it also makes the host's invocation the parent of what is traced here. Only the API is used, and it is
imported only then: 110 ms that an app without telemetry does not pay.

An attribute is a name or an id that we or the vault made, never a text of an error: no exception is recorded.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Protocol

from app.log_fields import result_of
from rotation.engine.observer import NoObserver, Observer
from rotation.errors import RotationError, Unexpected
from rotation.model import Outcome, RotationRequest

if TYPE_CHECKING:
    from opentelemetry.metrics import Meter
    from opentelemetry.trace import Span, Tracer

SCOPE = "keyturn"
OK = "ok"
INTERRUPTED = "interrupted"  # the host stopped the call, at its time-out or for good
# Seconds: a vault's call takes 20 ms, a rotation with a slow provider a minute.
_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Telemetry(Observer, Protocol):
    """Hears of sweeps as well."""

    def swept(self, vault: str, *, asked: int, expiring: int, outcome: str) -> None:
        """One vault of a sweep. asked: messages. expiring: see `Sweeper`. outcome: "ok", or an error's code."""
        ...


class Off(NoObserver):
    """No telemetry."""

    def swept(self, vault: str, *, asked: int, expiring: int, outcome: str) -> None:
        """Nobody hears of it."""


def telemetry(*, on: bool) -> Telemetry:
    """For the app; `on`: the worker has started the SDK."""
    if not on:
        return Off()
    from opentelemetry import metrics, trace  # noqa: PLC0415  see above

    return Instruments(trace.get_tracer(SCOPE), metrics.get_meter(SCOPE))


class _Run:
    """What is known of the run in whose context something happens."""

    def __init__(self) -> None:
        self.rotator = ""
        self.outcome: Outcome | None = None


_run: ContextVar[_Run | None] = ContextVar("run", default=None)


class Instruments:
    """`Telemetry` over a tracer and a meter."""

    def __init__(self, tracer: Tracer, meter: Meter) -> None:
        self._tracer = tracer
        seconds = list(_SECONDS)
        self._outcomes = meter.create_counter("keyturn.outcomes", "{request}", "what requests came to")
        self._run_duration = meter.create_histogram(
            "keyturn.rotation.duration",
            "s",
            "from a request to its outcome",
            explicit_bucket_boundaries_advisory=seconds,
        )
        self._step_duration = meter.create_histogram(
            "keyturn.step.duration", "s", "one step of a run", explicit_bucket_boundaries_advisory=seconds
        )
        self._sweeps = meter.create_counter("keyturn.sweeps", "{vault}", "vaults swept")
        self._asked = meter.create_counter("keyturn.sweep.requests", "{request}", "what sweeps asked for")
        self._expiring = meter.create_gauge("keyturn.secrets.expiring", "{secret}", "managed secrets that end soon")

    @contextmanager
    def run(self, kind: str, request: RotationRequest) -> Iterator[None]:
        known = _Run()
        token = _run.set(known)
        started = time.perf_counter()
        given = {"vault": request.ref.vault, "secret": request.ref.name, "version": request.version}
        try:
            with self._span(f"keyturn.{kind}", given) as span:
                failure = None
                try:
                    yield
                except RotationError as error:
                    failure = error
                    raise
                finally:
                    result = _result(known, failure)
                    _describe(span, {"outcome": result, "rotator": known.rotator or None} | _of(known.outcome))
        finally:
            _run.reset(token)
            if kind == "rotation":
                attributes = _named({"outcome": result, "rotator": known.rotator})
                self._outcomes.add(1, attributes | _named({"vault": request.ref.vault}))
                self._run_duration.record(time.perf_counter() - started, attributes)

    @contextmanager
    def step(self, name: str, version: str | None = None) -> Iterator[None]:
        started = time.perf_counter()
        outcome = OK
        with self._span(f"keyturn.{name}", {"step": name, "version": version}) as span:
            try:
                yield
            except BaseException as error:
                outcome = _code(error)
                raise
            finally:
                _describe(span, {"outcome": outcome})
                attributes = _named({"step": name, "outcome": outcome})
                self._step_duration.record(time.perf_counter() - started, attributes)

    def asked_for(self, rotator: str) -> None:
        known = _run.get()
        if known is not None:
            known.rotator = rotator

    def ended(self, outcome: Outcome) -> None:
        known = _run.get()
        if known is not None:
            known.outcome = outcome

    def swept(self, vault: str, *, asked: int, expiring: int, outcome: str) -> None:
        attributes = _named({"vault": vault})
        self._sweeps.add(1, attributes | _named({"outcome": outcome}))
        self._asked.add(asked, attributes)
        if outcome == OK:  # a listing that broke off has not seen all
            self._expiring.set(expiring, attributes)

    @contextmanager
    def _span(self, name: str, attributes: Mapping[str, str | None]) -> Iterator[Span]:
        """A span that an error marks, and that says nothing of the error: neither its text nor its traceback."""
        from opentelemetry.trace import StatusCode  # noqa: PLC0415  loaded with the tracer

        with self._tracer.start_as_current_span(
            name, attributes=_named(attributes), record_exception=False, set_status_on_exception=False
        ) as span:
            try:
                yield span
            except BaseException:
                span.set_status(StatusCode.ERROR)
                raise


def _code(error: BaseException) -> str:
    """Ours say their own; what is foreign becomes `Unexpected` at the engine's boundary; the rest stops the process."""
    if isinstance(error, RotationError):
        return error.code
    return Unexpected.code if isinstance(error, Exception) else INTERRUPTED


def _result(known: _Run, failure: RotationError | None) -> str:
    if known.outcome is not None:
        return known.outcome.result.value
    return result_of(failure).value if failure is not None else INTERRUPTED


def _of(outcome: Outcome | None) -> dict[str, str | None]:
    if outcome is None:
        return {}
    return {
        "version": outcome.version,
        "previous_version": outcome.previous_version,
        "operation_id": outcome.operation_id,
    }


def _describe(span: Span, facts: Mapping[str, str | None]) -> None:
    span.set_attributes(_named(facts))


def _named(facts: Mapping[str, str | None]) -> dict[str, str]:
    return {f"keyturn.{name}": fact for name, fact in facts.items() if fact is not None}
