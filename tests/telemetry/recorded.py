"""What OpenTelemetry's own in-memory exporters got: spans, points of metrics, log records."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

from opentelemetry.instrumentation.logging.handler import LoggingHandler
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from app.telemetry import SCOPE, Instruments


@dataclass(frozen=True, slots=True)
class Point:
    """One point of a metric. value: a sum or a gauge; of a histogram, how many were measured."""

    attributes: Mapping[str, object]
    value: float


@dataclass
class Recorded:
    """Providers of its own, so that no test sees another's."""

    spans_out: InMemorySpanExporter = field(default_factory=InMemorySpanExporter)
    logs_out: InMemoryLogRecordExporter = field(default_factory=InMemoryLogRecordExporter)
    reader: InMemoryMetricReader = field(default_factory=InMemoryMetricReader)

    def __post_init__(self) -> None:
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(SimpleSpanProcessor(self.spans_out))
        self.meters = MeterProvider([self.reader])
        loggers = LoggerProvider()
        loggers.add_log_record_processor(SimpleLogRecordProcessor(self.logs_out))
        self.handler = LoggingHandler(level=logging.DEBUG, logger_provider=loggers)
        self.telemetry = Instruments(self.tracers.get_tracer(SCOPE), self.meters.get_meter(SCOPE))

    def spans(self) -> list[ReadableSpan]:
        """In the order of their beginnings."""
        return sorted(self.spans_out.get_finished_spans(), key=lambda span: span.start_time or 0)

    def root(self) -> ReadableSpan:
        return next(span for span in self.spans() if span.parent is None)

    def points(self, metric: str) -> list[Point]:
        data = self.reader.get_metrics_data()
        return [
            Point(dict(point.attributes or {}), point.count if hasattr(point, "count") else point.value)
            for resource in (data.resource_metrics if data else [])
            for scope in resource.scope_metrics
            for found in scope.metrics
            if found.name == metric
            for point in found.data.data_points
        ]

    def all_text(self) -> str:
        """Everything that would leave, as text."""
        data = self.reader.get_metrics_data()
        logs = self.logs_out.get_finished_logs()
        metrics = [data.to_json()] if data else []
        return "\n".join([*(span.to_json() for span in self.spans()), *(log.to_json() for log in logs), *metrics])
