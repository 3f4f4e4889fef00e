"""A slice of the hostile values, and that what they are held against would be noticed. Times are the lane's to tell."""

import asyncio
import json
import os
import re
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from rotation import formats
from rotation.engine import engine
from rotation.errors import Unusable
from rotation.formats import families
from rotation.model import Outcome, RotationRequest
from tests.e2e.deployment import Answer
from tests.e2e.leaks import leaks
from tests.proof.fuzz import held, hostile, hostile_served
from tests.proof.fuzz.readers import Readers

BLANKS = hostile.REPETITIONS.index(" ") * len(hostile.BEGINNINGS) * hostile.OF_EACH_PAIR
WORDS = hostile.REPETITIONS.index("§ ") * len(hostile.BEGINNINGS) * hostile.OF_EACH_PAIR


@pytest.fixture
def readers() -> Iterator[Readers]:
    with asyncio.Runner() as runner:
        yield Readers(runner)


def test_hostile_values_are_refused_without_a_word_of_them_and_change_nothing() -> None:
    numbers = range(7, hostile.COUNT, hostile.COUNT // 150)
    found = held.read_all(3, numbers)
    assert (found.faults, found.shown) == ([], [])
    assert found.values == len(numbers)
    assert 0 < found.taken < found.values / 5
    assert len(found.sayings) > 30


def test_a_value_is_made_again_by_its_number_and_is_no_longer_than_a_vault_takes() -> None:
    for number in range(0, hostile.COUNT, hostile.COUNT // 300):
        one = hostile.made(5, number)
        assert one == hostile.made(5, number)
        assert hostile.size(one.text) <= hostile.MAX_BYTES


@pytest.mark.thorough
def test_every_reading_meets_every_beginning() -> None:
    met = set()
    for number in range(hostile.COUNT):
        reading = hostile.made(1, number, most=1).reading
        met.add((number // hostile.OF_EACH_PAIR % len(hostile.BEGINNINGS), reading.reader, str(reading.tags)))
    kinds = {(one.reader, str(one.tags)) for one in hostile.READINGS}
    assert len(met) == len(hostile.BEGINNINGS) * len(kinds)


def test_a_message_with_a_part_of_the_value_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(text: str) -> Unusable:
        return Unusable(f"what is {text[1:5]!a}?", field="value")

    numbers = range(WORDS, WORDS + 20)
    assert held.read_all(1, numbers).shown == []
    monkeypatch.setattr(families, "_unknown", unknown)
    assert held.read_all(1, numbers).shown != []


def test_a_reader_that_is_not_linear_is_noticed(readers: Readers, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = re.compile(r" +x")

    def looked_at(text: str) -> None:
        slow.search(text)

    blanks = hostile.made(1, BLANKS + 2, most=8_000)
    assert blanks.text.count(" ") > 7_000
    readers.look(blanks)  # loads what is loaded late
    quick = readers.look(blanks).longest_s * 1000
    monkeypatch.setattr(formats, "check_characters", looked_at)
    assert held.best_ms(readers, blanks, readers.look(blanks)) > 10 * quick


def writes(self: engine.Engine, request: RotationRequest) -> Any:
    async def written() -> Outcome:
        vault = self._dependencies.vaults[request.ref.vault]
        held_now = await vault.get(request.ref.name)
        await vault.set(request.ref.name, held_now.value, tags=held_now.tags)
        raise Unusable("it was written all the same", field="value")

    return written()


def asks(self: engine.Engine, request: RotationRequest) -> Any:
    async def asked() -> Outcome:
        nobody: Any = None
        await self._dependencies.rotator("postgres").prove(nobody)
        raise AssertionError

    return asked()


@pytest.mark.parametrize(
    ("bug", "noticed"), [(writes, "something was written into the vault"), (asks, "a provider was asked: prove")]
)
def test_a_change_is_noticed(readers: Readers, bug: Any, noticed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine.Engine, "handle", bug)
    assert readers.look(hostile.made(1, BLANKS)).faults == [noticed]


def dies_of_three(numbers: Sequence[int]) -> held.Found:
    if 3 in numbers:
        os._exit(1)
    return held.Found(values=len(numbers))


def dies_once(numbers: Sequence[int]) -> held.Found:
    mark = os.environ["DIED_ONCE"]
    try:
        os.close(os.open(mark, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return held.Found(values=len(numbers))
    os._exit(1)


@pytest.mark.thorough
def test_a_part_of_which_a_process_dies_is_named() -> None:
    found = held.side_by_side(dies_of_three, [[1, 2], [3, 4], [5]])
    assert found.died == ["a process died of one of the values [3, 4]"]
    assert found.values == 3


@pytest.mark.thorough
def test_a_process_that_something_else_ended_is_told_and_its_part_read_again(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIED_ONCE", str(tmp_path / "once"))
    found = held.side_by_side(dies_once, [[1, 2], [3, 4], [5]])
    assert found.died == []
    assert found.values == 5
    assert found.again > 0


def test_the_search_finds_a_values_ends_and_no_row_of_one_sign() -> None:
    value = "postgresql://app:hQ4x9-rT7w@h/d?a=" + "\0" * 1000
    ends = list(hostile_served._ends([value]))
    assert leaks(ends, [("log", value.encode())]) != []
    assert leaks(ends, [("database", b"\0" * 4096)]) == []


@pytest.mark.thorough
def test_hostile_values_go_through_the_whole_app() -> None:
    tally = hostile_served.run(seed=2, share=0.01)
    assert tally.broken == []
    assert tally.inputs == 20


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("bug", "noticed"),
    [
        ("writes", "it is now"), ("tells", "a part of it is told"), ("asks", "PostgreSQL was asked"),
        ("changes", "it was role"), ("faults", "answered 500"), ("lines", "no one clear line"),
    ],
)  # fmt: skip
def test_an_app_that_does_harm_is_noticed(bug: str, noticed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The app's process can't be reached into, so what it would do is done by whoever asks it."""
    real = hostile_served._Trial._rotate
    done: list[str] = []

    async def harmful(self: hostile_served._Trial, one: hostile_served.Kept) -> Any:
        answer = await real(self, one)
        if one.taken or done:  # once: two changes of one role at one time, and PostgreSQL refuses the second
            return answer
        done.append(bug)
        if bug == "writes":
            await self._app.put(one.name, "another", {"rotator": one.hostile.rotator})
        elif bug == "asks":
            await self._app.role("somebody")
        elif bug == "changes":
            await self._app.set_password("app", "another-password")
        said = {"tells": ascii(one.hostile.text[:200]), "lines": "a\nb"}.get(bug, answer.json["detail"])
        text = json.dumps(answer.json | {"detail": said})
        return Answer(500 if bug == "faults" else answer.status, text, answer.headers)

    monkeypatch.setattr(hostile_served._Trial, "_rotate", harmful)
    tally = hostile_served.run(seed=2, share=0.004)
    assert any(noticed in line for line in tally.broken), tally.broken
