"""Faults on demand: what a network and a busy service do to their callers, for the next few calls or until removed.

A fault strikes calls that carry a good token; the challenge before the first call is left alone, so that `times`
counts what a caller means by a call.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Any

from local.vault.operations import Operation


class Kind(StrEnum):
    """What happens to a call."""

    LATENCY = "latency"  # wait `ms`, then do it
    STATUS = "status"  # answer `status`, do nothing
    REFUSE = "refuse"  # answer with `code`, do nothing
    DROP_BEFORE = "drop_before"  # close the connection, do nothing
    DROP_AFTER = "drop_after"  # do it, then close the connection without an answer
    SLOW_ANSWER = "slow_answer"  # do it, then wait `ms` before the answer


class Code(StrEnum):
    """Why a call is refused: the code of the answer's `innererror`, but for the first, which has none."""

    ANOTHER_WRITER = "Conflict"
    BEING_DELETED = "ObjectIsBeingDeleted"
    BEING_RECOVERED = "ObjectIsBeingRecovered"
    DELETED = "ObjectIsDeletedButRecoverable"
    RBAC = "ForbiddenByRbac"
    POLICY = "ForbiddenByPolicy"
    FIREWALL = "ForbiddenByFirewall"
    CONNECTION = "ForbiddenByConnection"


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault and the calls that it strikes: those that match every field that is given.

    operations: as in `Operation`. name: the secret's, whatever its case. method: the HTTP method. path: a regular
    expression that is searched for in the path. times: how many calls it strikes; None: all. skip: how many matching
    calls pass first. ms: for `latency` and `slow_answer`. status, retry_after_s: for `status`; without the latter no
    header says when to come back. code: for `refuse`.

    Raises:
        ValueError: fields that make no fault.
    """

    kind: Kind
    operations: tuple[Operation, ...] = ()
    vault: str | None = None
    name: str | None = None
    method: str | None = None
    path: str | None = None
    times: int | None = None
    skip: int = 0
    ms: int = 0
    status: int = 503
    retry_after_s: int | None = None
    code: Code | None = None

    def __post_init__(self) -> None:
        if self.kind in {Kind.LATENCY, Kind.SLOW_ANSWER} and self.ms <= 0:
            raise ValueError(f"ms is missing: a {self.kind} fault says how long")
        if self.kind is Kind.STATUS and self.status not in {429, *range(500, 600)}:
            raise ValueError(f"status is {self.status}; a fault answers 429 or 5xx")
        if (self.kind is Kind.REFUSE) != (self.code is not None):
            raise ValueError(f"code goes with a refuse fault, and says why: {', '.join(Code)}")

    def matches(self, call: Call) -> bool:
        """Whether the fault is meant for this call."""
        return (
            (not self.operations or call.operation in self.operations)
            and self.vault in {None, call.vault}
            and (self.name is None or (call.name or "").lower() == self.name.lower())
            and (self.method is None or self.method.upper() == call.method)
            and (self.path is None or re.search(self.path, call.path) is not None)
        )


@dataclass(frozen=True, slots=True)
class Call:
    """What a fault is chosen by."""

    vault: str
    operation: Operation
    name: str | None
    method: str
    path: str


@dataclass(slots=True)
class _Set:
    fault: Fault
    seen: int = 0
    struck: int = 0


class Faults:
    """The faults that are set."""

    def __init__(self) -> None:
        self._set: dict[int, _Set] = {}
        self._next_id = 1

    def add(self, fault: Fault) -> int:
        """Set a fault; answers its id."""
        fault_id = self._next_id
        self._next_id += 1
        self._set[fault_id] = _Set(fault)
        return fault_id

    def clear(self) -> None:
        """Remove all faults."""
        self._set.clear()

    def struck(self, fault_id: int) -> int:
        """How many calls a fault has struck."""
        return self._set[fault_id].struck

    def strike(self, call: Call) -> list[Fault]:
        """The faults that this call suffers, in the order they were set; each counts it."""
        suffered = []
        for entry in self._set.values():
            if not entry.fault.matches(call):
                continue
            entry.seen += 1
            used_up = entry.fault.times is not None and entry.struck >= entry.fault.times
            if entry.seen > entry.fault.skip and not used_up:
                entry.struck += 1
                suffered.append(entry.fault)
        return suffered

    def describe(self) -> list[dict[str, Any]]:
        """All faults with their ids and how often each has struck."""
        return [{"id": key, **asdict(entry.fault), "struck": entry.struck} for key, entry in self._set.items()]


def parse_fault(raw: Mapping[str, Any]) -> Fault:
    """A fault from its JSON: the fields of `Fault`; `operation` names a single one.

    Raises:
        ValueError: an unknown field or a value that can't be; the message names it.
    """
    given = dict(raw)
    if "operation" in given:
        given["operations"] = [given.pop("operation")]
    known = {field.name for field in fields(Fault)}
    unknown = set(given) - known
    if unknown:
        raise ValueError(f"{', '.join(sorted(unknown))}: no such field; a fault has {', '.join(sorted(known))}")
    if "kind" not in given:
        raise ValueError(f"kind is missing; it is one of {', '.join(Kind)}")
    for field in ("times", "skip", "ms", "status", "retry_after_s"):
        value = given.get(field)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 0):
            raise ValueError(f"{field} is {json.dumps(value)}; it must be a whole number")
    given["kind"] = Kind(given["kind"])
    if given.get("code") is not None:
        given["code"] = Code(given["code"])
    given["operations"] = tuple(Operation(one) for one in given.get("operations", ()))
    return Fault(**given)
