"""The ledger's lines: one JSON object a step, never with a value in it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any


class Step(StrEnum):
    """What happened. `PUBLISHED`, `ADOPTED` and `REPAIRED` name a version of the secret that holds `slot`."""

    STAGED = "staged"  # a value is in the companion secret, version `staged_version`
    APPLYING = "applying"  # the provider is about to be changed
    PUBLISHED = "published"  # `version` was written by this operation
    VERIFIED = "verified"  # `version` logged in
    ADOPTED = "adopted"  # `version` was written by somebody else, logged in, and is now known
    ROTATED = "rotated"  # the operation is complete
    REPAIRED = "repaired"  # `version` was written again because the latest one did not work
    RETIRED = "retired"  # `slot` of older versions no longer works
    FAILED = "failed"  # the run ended here; `detail` says why


class AboutTo(StrEnum):
    """What is about to be done to the vault or a provider, in `Record.about_to`. A rotation's own is `APPLYING`."""

    PUBLISH = "publish"  # a repair writes what works as a new version
    SET_TAGS = "set_tags"  # `version` gets `tags`: lost ones are restored. No record says afterwards that it was done
    RETIRE = "retire"  # the credential in `slot` is ended
    REMOVE = "remove"  # the credential in `slot`, which no version ever named, is ended
    DISABLE = "disable"  # `version` is disabled
    UNSTAGE = "unstage"  # the staged value is disabled
    FOLLOW = "follow"  # followers get the login of `version`
    READ_STAGED = "read_staged"  # a disabled staged value is enabled, read, and disabled again


_STEPS = frozenset(step.value for step in Step)


class UnknownStep(ValueError):
    """A record of a step that a later package takes."""


@dataclass(frozen=True, slots=True)
class Record:
    """One step. `at` is aware UTC; `tags` are those of the version, kept so that they can be restored.

    What came later is a field of a known step and never a new word in `step`: the package before must be able to read
    every history, since pipelines roll back by themselves.

    asked: in `APPLYING` and `ADOPTED`, what the secret asked for and was proven to own (`rotation.ledger.asked`).
    grace_hours: in `APPLYING` and where a version is named, how long its slot lives on once it is superseded: promised.
    given_up: in `FAILED`, that its open operation will not be finished.
    actor_id: the object id of a caller whom the directory knows, beside the name in `actor`.
    about_to: one of `AboutTo`, written before it is done. Where another record is written just then, it is a field of
        that one, and `staged_version` is what will be disabled. Else it is in a record of its own (`announces`).
    followers: by "vault/secret" a version of each: in `APPLYING` and with `AboutTo.FOLLOW` the one that will be
        replaced, in `ROTATED` the one that was written.
    refresh: where a version is named, who will be asked to take it: names of `Refresh`. With `AboutTo.FOLLOW`, who will
        be asked once followers have that version's login. Nobody is asked without it.
    refreshed: in a record of its own, what came of it for `version`: by name, a `RefreshState`.
    mark: in `APPLYING`, that the provider had begun the change of `slot` by then (`rotation.errors.UnderWay`).
    """

    at: datetime
    step: Step
    operation_id: str
    reason: str
    actor: str
    version: str | None = None
    previous_version: str | None = None
    staged_version: str | None = None
    slot: str | None = None
    duration_ms: int | None = None
    detail: str | None = None
    tags: Mapping[str, str] | None = None
    asked: Mapping[str, Any] | None = None
    grace_hours: int | None = None
    given_up: bool | None = None
    actor_id: str | None = None
    about_to: str | None = None
    followers: Mapping[str, str] | None = None
    refresh: Sequence[str] | None = None
    refreshed: Mapping[str, str] | None = None
    mark: str | None = None

    @property
    def announces(self) -> bool:
        """Whether this record says what will be done, and nothing else.

        Its step is `STAGED`, without a `staged_version`: no history, the package before's among them, goes by it.
        `version` is what will be touched: of the companion secret, where it is a staged value.
        """
        return self.step is Step.STAGED and self.staged_version is None and self.about_to is not None

    def says_the_same(self, other: Record) -> bool:
        """Whether both say one thing about one operation, for one caller; their times may differ."""
        return _gist(self) == _gist(other)

    def to_line(self) -> str:
        """One line of JSON with its line feed; absent fields are left out."""
        fields = {name: getattr(self, name) for name in self.__slots__}
        shown = {k: v for k, v in fields.items() if v is not None}
        shown["at"] = self.at.isoformat()
        shown["step"] = self.step.value
        if self.tags is not None:
            shown["tags"] = dict(self.tags)
        if self.followers is not None:
            shown["followers"] = dict(self.followers)
        line = json.dumps(shown, ensure_ascii=False, separators=(",", ":")) + "\n"
        # Half of a character (JSON can bring one) is written as JSON's escape: UTF-8 has no other form for it.
        return line.encode(errors="backslashreplace").decode()

    @classmethod
    def from_line(cls, line: str) -> Record:
        """The record of a line. Unknown fields are ignored so that an older app reads a newer ledger.

        Raises:
            UnknownStep: it is one of a later package. ValueError: the line is not a record.
        """
        raw: Any = json.loads(line)
        if not isinstance(raw, dict) or not {"at", "step", "operation_id"} <= raw.keys():
            message = "not a ledger record"
            raise ValueError(message)
        if isinstance(raw["step"], str) and raw["step"] not in _STEPS:
            raise UnknownStep
        known = {name: raw[name] for name in cls.__slots__ if name in raw}
        known["at"] = datetime.fromisoformat(raw["at"])
        known["step"] = Step(raw["step"])
        known.setdefault("reason", "")
        known.setdefault("actor", "")
        return cls(**known)


def _gist(record: Record) -> tuple[object, ...]:
    said = (record.step, record.operation_id, record.detail, record.about_to, record.version, record.slot)
    return (*said, record.reason, record.actor, record.followers, record.refresh)


def parse_lines(text: str) -> tuple[Record, ...]:
    """All records of a ledger's text, oldest first; a torn last line (a crash while writing) is left out.

    So is a step that this package does not know: a later one wrote it.
    """
    lines = text.split("\n")
    complete = lines[:-1]  # what comes after the last line feed was never finished
    return tuple(_known(line for line in complete if line))


def _known(lines: Iterable[str]) -> Iterator[Record]:
    for line in lines:
        with contextlib.suppress(UnknownStep):
            yield Record.from_line(line)
