"""What the app says of an input: its errors, outcomes and log lines are one line each, and no value stands in them."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from functools import lru_cache
from typing import Self

from rotation.errors import RotationError, Unexpected
from tests.e2e.leaks import leaks

PLANTED = "Pl4nted+s3cret/word"  # a password, of which base64 and URL-encoding make other texts


class Heard(logging.Handler):
    """All that is logged while it lasts."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []
        self._log = logging.getLogger("keyturn")
        self._level = self._log.level

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        assert record.exc_info is None, "a stack trace is logged"
        assert text.isprintable(), "a line of the log is not one line"
        self.lines.append(text)

    def __enter__(self) -> Self:
        self._log.addHandler(self)
        self._log.setLevel(logging.DEBUG)
        return self

    def __exit__(self, *_error: object) -> None:
        self._log.setLevel(self._level)
        self._log.removeHandler(self)

    def taken(self) -> str:
        """What was heard since it was asked last."""
        text = "\n".join(self.lines)
        self.lines.clear()
        return text


def told_well(error: RotationError) -> str:
    """-> what an answer shows of an error."""
    assert not isinstance(error, Unexpected), f"a fault of ours: {error.message}"
    assert error.message, "no word on what is wrong"
    assert "\n" not in error.message, "more than one line"
    tells_nothing(error.message)
    return f"{error.message} {error.field}"


@lru_cache(maxsize=4096)  # most inputs are refused in the same words
def tells_nothing(said: str) -> None:
    """The planted value is not told, in no form."""
    tells_none((PLANTED,), said)


def tells_none(values: Iterable[str], said: str) -> None:
    """None of these values is told, in no form. One with half of a character can't be: nothing that is told has one."""
    possible = [one for one in values if one.encode(errors="replace").decode() == one]
    assert leaks(possible, [("said", said.encode(errors="replace"))]) == [], "a value is told"
