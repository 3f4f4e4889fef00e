"""Bugs on purpose, of the rules about readers of an old value (`retire = "when-unread"`): see `bugs.py`."""

from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from rotation.engine import retirement, unread
from rotation.engine.unread import Judgement
from rotation.readers import Heard, Question, Reader
from tests.proof.simulation.bugs import bug


def _waits_not(passed_over: Any) -> AbstractContextManager[Any]:
    whole = unread._why_wait

    def why_wait(heard: Heard | str, question: Question) -> str | None:
        return None if passed_over(heard) else whole(heard, question)

    return patch.object(unread, "_why_wait", why_wait)


@bug("an old slot ended though a reader holds it", seed=106)
def _() -> AbstractContextManager[Any]:
    return _waits_not(lambda heard: isinstance(heard, Heard) and heard.holders)


@bug("an old slot ended since the audit log can't be had", seed=68)
def _() -> AbstractContextManager[Any]:
    return _waits_not(lambda heard: isinstance(heard, str))


@bug("an old slot ended though the audit log has a gap", seed=208)
def _() -> AbstractContextManager[Any]:
    return patch.object(Heard, "gap", lambda _self, _question: None)


@bug("an old slot waits for its readers for ever", seed=68)
def _() -> AbstractContextManager[Any]:
    return patch.object(unread, "over_by_versions", lambda *_all: frozenset())


@bug("an old slot waits for readers who have the new value", seed=94)
def _() -> AbstractContextManager[Any]:
    return patch.object(Reader, "holds", True)


@bug("the audit log is asked about no read before the publication", seed=106)
def _() -> AbstractContextManager[Any]:
    whole = unread.question_of

    def question_of(*given: Any) -> Question:
        question = whole(*given)
        return replace(question, since=question.published_at)

    return patch.object(unread, "question_of", question_of)


@bug("an old slot is ended with its grace, whoever holds it", seed=68)
def _() -> AbstractContextManager[Any]:
    async def ask_and_judge(_readers: Any, _managed: Any, _history: Any, _listed: Any, over: Any, *_more: Any) -> Any:
        return Judgement(over)

    return patch.object(retirement, "ask_and_judge", ask_and_judge)
