"""Operations one after the other: what counts as failed, and that no other is kept from being tried."""

import pytest

from tests.foreign_clients.steps import refused, tried
from tests.foreign_clients.told import Told


def test_one_that_fails_is_told_and_the_next_is_tried() -> None:
    done: list[str] = []

    told = tried("client", {"raises": lambda: 1 / 0, "is wrong": lambda: False, "is right": lambda: done.append("it")})

    assert done == ["it"]
    assert told == Told(
        "client", 3, 2,
        ("not ok raises -- ZeroDivisionError: division by zero", "not ok is wrong -- it is not as it should be"),
    )  # fmt: skip


def test_an_error_that_should_come_must_come() -> None:
    assert refused(lambda: 1 / 0, ZeroDivisionError).args == ("division by zero",)
    with pytest.raises(LookupError, match="not refused"):
        refused(lambda: 1, ZeroDivisionError)
    with pytest.raises(ZeroDivisionError):
        refused(lambda: 1 / 0, KeyError)
