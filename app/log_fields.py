"""What a log line says beside its text, for queries: with telemetry on, Application Insights' custom dimensions."""

from __future__ import annotations

from rotation.errors import Busy, Denied, RotationError, Stopping
from rotation.model import Outcome, Result, SecretRef


def log_fields(event: str, ref: SecretRef | None = None, **more: str | None) -> dict[str, str]:
    """`extra` of a log call. event: which line it is, by a name that stays when its words change."""
    facts = {"event": event, **more}
    if ref is not None:
        facts |= {"vault": ref.vault, "secret": ref.name}
    return {f"keyturn.{name}": fact for name, fact in facts.items() if fact is not None}


def one_line(text: str) -> str:
    r"""As it may be in a log: with "\n" for a line feed, by which a secret's tags could write lines of their own."""
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)


def of_outcome(outcome: Outcome) -> dict[str, str]:
    """Of the one line that each outcome gets."""
    return log_fields(
        "outcome",
        outcome.ref,
        outcome=outcome.result.value,
        version=outcome.version,
        previous_version=outcome.previous_version,
        operation_id=outcome.operation_id,
        code=outcome.code,
    )


def result_of(error: RotationError) -> Result:
    """The outcome that an error is."""
    if isinstance(error, Denied):
        return Result.DENIED
    return Result.BUSY if isinstance(error, Busy | Stopping) else Result.FAILED
