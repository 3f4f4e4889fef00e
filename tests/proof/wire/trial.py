"""One trial: a rotation that meets a fault, and what must hold once the fault is gone."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.e2e.deployment import Answer
from tests.proof.rows import Row

# It went through all the same; another run works on it; nobody could do it; it is asked again later.
HONEST = frozenset({200, 409, 502, 503})


@dataclass(frozen=True, slots=True)
class Trial:
    """part: which part the fault stood in front of. answer: what the operator got. broken: a line or None."""

    part: str
    name: str
    answer: int
    broken: str | None


def dishonest(name: str, answer: Answer) -> str | None:
    """A line, unless the answer is an outcome or a problem, as JSON, that says to come again or who refused."""
    try:
        told = json.loads(answer.text)
    except ValueError:
        told = None
    sound = isinstance(told, dict) and "outcome" in told and "Traceback" not in answer.text
    again = answer.status != 503 or "Retry-After" in answer.headers
    if sound and again and answer.status in HONEST:
        return None
    return f"{name}: answered {answer.status} {answer.text[:300]!r}"


def unasked(name: str, told: Mapping[str, Any]) -> str | None:
    """A line, unless the history shows the one rotation that was asked for; a repair may have cost another."""
    steps = Counter(record["step"] for record in told["history"])
    rotated = {record["operation_id"] for record in told["history"] if record["step"] == "published"}
    if 1 <= len(rotated) <= 1 + steps["repaired"]:
        return None
    return f"{name}: asked once, rotated {len(rotated)} times: {dict(steps)}"


def rows(trials: Iterable[Trial]) -> list[Row]:
    """One row for each part."""
    parts: dict[str, list[Trial]] = {}
    for trial in trials:
        parts.setdefault(trial.part, []).append(trial)
    return [
        Row(
            f"{part}: mended by itself, once",
            len(found),
            sum(trial.broken is not None for trial in found),
            _told(found),
        )
        for part, found in parts.items()
    ]


def _told(trials: Sequence[Trial]) -> str:
    answers = Counter(trial.answer for trial in trials)
    return "answered " + ", ".join(f"{status}: {count}" for status, count in sorted(answers.items()))
