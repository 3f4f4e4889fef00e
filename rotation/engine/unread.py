"""Who is waited for before an old slot is ended, where its rule says `retire = "when-unread"`.

`judge` decides, and is pure; `ask_and_judge` asks the audit log before. docs/adr/0051-who-still-holds-the-old-value.md
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from rotation.addresses import is_guid
from rotation.engine.fence import within
from rotation.engine.grace import over_by_versions
from rotation.engine.managed_secret import ManagedSecret
from rotation.engine.observer import Observer
from rotation.errors import RotationError
from rotation.ledger.history import History
from rotation.model import Versions
from rotation.readers import Heard, Question, Reader, Readers

PATIENCE_S = 15.0  # what a run waits for the audit log, its lease held
SHOWN = 3  # readers that an outcome names; the others are counted


@dataclass(frozen=True, slots=True)
class Judgement:
    """over: the slots to be ended now. said: what the outcome says besides. noted: of a slot, what its record says."""

    over: frozenset[str]
    said: tuple[str, ...] = ()
    noted: Mapping[str, str] = field(default_factory=dict)


async def ask_and_judge(
    readers: Readers,
    managed: ManagedSecret,
    history: History,
    listed: Versions,
    over: frozenset[str],
    now: datetime,
    observer: Observer,
) -> Judgement:
    """What becomes of slots whose grace period is over. Asks nobody where the rule waits for nobody. Raises nothing."""
    most = managed.terms.max_grace_hours
    if most is None or not over:
        return Judgement(over)
    question = question_of(managed, history, listed, over)
    at_bound = over_by_versions(history, listed, over, most, now)
    heard: Heard | str
    try:
        with observer.step("readers"):
            heard = await within(PATIENCE_S, "the audit log", readers.ask(question))
    except RotationError as error:
        heard = error.message
    return judge(over, at_bound, heard, question, most)


def question_of(managed: ManagedSecret, history: History, listed: Versions, slots: Iterable[str]) -> Question:
    """Who holds a version with one of `slots`. Where none is listed any more, by the ledger's own times."""
    known, wanted = history.versions(), frozenset(slots)
    made = [one.created_on for one in listed.items if known.get(one.version) in wanted]
    named = [at for version, at in history.known_since().items() if known.get(version) in wanted]
    published_at = managed.secret.created_on
    return Question(managed.ref, managed.secret.version, published_at, min([*(made or named), published_at]))


def judge(
    over: frozenset[str], at_bound: frozenset[str], heard: Heard | str, question: Question, most: int
) -> Judgement:
    """Pure. over: slots whose grace period is over. at_bound: those of them that have waited for `most` hours.

    heard: the audit log's answer, or why there is none. Where it can't say that nobody holds the old value, the slots
    wait as if somebody did: no credential is ended on less than the rule asks for, and nothing waits for ever.
    """
    why = _why_wait(heard, question)
    if why is None:
        return Judgement(over)
    ended, waiting = over & at_bound, over - at_bound
    said = []
    if waiting:
        said.append(f"{_listed(waiting)} lives on, for {most} h in all at most: {why}")
    if ended:
        said.append(f"{_listed(ended)} had its {most} h, the rule's max-grace-hours: {why}")
    return Judgement(ended, tuple(said), dict.fromkeys(ended, f"after {most} h, the rule's max-grace-hours: {why}"))


def _why_wait(heard: Heard | str, question: Question) -> str | None:
    if isinstance(heard, str):
        return f"nobody can tell who holds it ({heard})"
    if heard.holders:
        return _waited_for(heard.holders)
    gap = heard.gap(question)
    return None if gap is None else f"nobody can tell who holds it ({gap})"


def _waited_for(holders: Sequence[Reader]) -> str:
    """Ids of the directory alone: a person's name is in the API's answer, and in no history, log or event."""
    shown = [_shown(one) for one in holders[:SHOWN]]
    more = len(holders) - len(shown)
    return "the new value was not read yet by " + ", ".join([*shown, f"{more} more"] if more else shown)


def _shown(reader: Reader) -> str:
    return f"application {_id(reader.application_id)} as object {_id(reader.object_id)}"


def _id(told: str | None) -> str:
    """Whatever else a log may hold, outcomes and histories get ids alone."""
    return told if told is not None and is_guid(told) else "(unknown)"


def _listed(slots: Iterable[str]) -> str:
    return ", ".join(sorted(slots))
