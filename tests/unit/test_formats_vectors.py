"""Nineteen hundred strings: what Keyturn takes, each driver of its form reads alike. See tests/vectors."""

from collections import Counter

import pytest

from tests.vectors import Vector, vectors
from tests.vectors.judge import judge

FAMILIES = sorted({vector.family for vector in vectors()})
# Nobody reads these here, so nothing of them may be taken.
READ = ("pg-", "plain", "json", "azure-storage", "mysql-", "redis-", "amqp")
UNREAD = {name for name in FAMILIES if not name.startswith(READ)}


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_taken_is_read_by_its_drivers_alike(family: str) -> None:
    verdicts = {vector.id: judge(vector) for vector in of(family)}
    counts = Counter(verdict.form or "refused" for verdict in verdicts.values())
    print(family, dict(counts))  # noqa: T201  shown by -s
    assert {name: verdict.wrong for name, verdict in verdicts.items() if verdict.wrong} == {}
    if family in UNREAD:
        assert set(counts) == {"refused"}
    else:
        assert set(counts) > {"refused"}


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_refused_is_told_in_a_line_that_shows_nothing_of_it(family: str) -> None:
    for vector in of(family):
        told = judge(vector).refusal
        if told is not None:
            assert "\n" not in told, vector.id
            assert not any(word in told for word in ("evil", "db.example", "dsn.example")), vector.id


def of(family: str) -> list[Vector]:
    return [vector for vector in vectors() if vector.family == family]
