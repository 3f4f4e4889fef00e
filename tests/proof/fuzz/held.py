"""Hostile values by the hundred thousand, held against what is promised of each: how long it takes, what is said, and
that nothing changes. `python -m tests.proof.fuzz.held SEED NUMBER` reads one again.
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from random import Random

from tests.proof.fuzz.hostile import COUNT, SHORT_BYTES, Hostile, made
from tests.proof.fuzz.readers import Heard, Readers
from tests.proof.rows import Row

MAX_MS = 50.0
AGAIN_ABOVE_MS = 10.0  # what seems to take longer is read twice more, and the best of the three counts
TRIES = 3
GRAM = 4  # characters in a row
A_PART = 500  # values that one task of a process reads


@dataclass(slots=True)
class Found:
    """taken: values that were read, and permitted. sayings: how often each refusal was heard.

    took_ms: of the slowest, by number, the best of its times. shown, faults: a line for each value with which something
    is wrong. died: a line for each part of which a process died, again when nothing ran beside it.
    """

    values: int = 0
    taken: int = 0
    sayings: Counter[str] = field(default_factory=Counter)
    took_ms: dict[int, float] = field(default_factory=dict)
    shown: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    died: list[str] = field(default_factory=list)
    again: int = 0  # parts that were read again, since a process died beside them

    def add(self, other: Found) -> None:
        """Both together."""
        self.values += other.values
        self.taken += other.taken
        self.sayings.update(other.sayings)
        self.took_ms = slowest(self.took_ms | other.took_ms)
        self.shown += other.shown
        self.faults += other.faults
        self.died += other.died


def slowest(took_ms: dict[int, float]) -> dict[int, float]:
    """The ten slowest, and whatever takes too long."""
    ordered = sorted(took_ms.items(), key=lambda one: -one[1])
    return dict(one for place, one in enumerate(ordered) if place < 10 or one[1] > MAX_MS)


def read_all(seed: int, numbers: Sequence[int]) -> Found:
    """Read the values of these numbers, in this process."""
    found = Found()
    with asyncio.Runner() as runner:
        readers = Readers(runner)
        readers.look(made(seed, numbers[0]))  # loads what is loaded late, which is nobody's time
        for number in numbers:
            _read_one(readers, made(seed, number), found)
    return found


def _read_one(readers: Readers, hostile: Hostile, found: Found) -> None:
    heard = readers.look(hostile)
    found.values += 1
    found.taken += heard.taken
    found.sayings.update(heard.said[:1] if not heard.taken else [])
    found.took_ms = slowest(found.took_ms | {hostile.number: best_ms(readers, hostile, heard)})
    found.faults += [f"value {hostile.seed} {hostile.number}: {fault}" for fault in heard.faults]
    if shows(readers, hostile, heard.said):
        found.shown.append(f"value {hostile.seed} {hostile.number}: a part of it is told")


def best_ms(readers: Readers, hostile: Hostile, heard: Heard) -> float:
    """Of processor time: of three readings, where the first one seems to take long."""
    best = heard.longest_s * 1000
    for _ in range(TRIES - 1):
        if best <= AGAIN_ABOVE_MS:
            break
        best = min(best, readers.look(hostile).longest_s * 1000)
    return best


def shows(readers: Readers, hostile: Hostile, said: Sequence[str]) -> bool:
    """Whether four characters of a value are said that would not be said of another one of its form.

    The other one is short first, since of most values the same is said whatever their length.
    """
    for most in (SHORT_BYTES, None):
        twin = made(hostile.seed, hostile.number, twin=True, **({} if most is None else {"most": most}))
        others = readers.look(twin).said
        if others == list(said):
            return False
    return tells(hostile.text, said, others)


def tells(text: str, said: Iterable[str], said_of_another: Iterable[str]) -> bool:
    """Whether four characters of a value in a row are in what is said of it alone."""
    return any(gram in text for gram in _grams(said) - _grams(said_of_another))


def _grams(said: Iterable[str]) -> set[str]:
    return {one[at : at + GRAM] for one in said for at in range(len(one) - GRAM + 1)}


def run(seed: int, share: float = 1.0) -> Found:
    """`share` of all values, in two processes; what took too long is measured again, with nothing beside it."""
    numbers = Random(seed).sample(range(COUNT), max(1, int(COUNT * share)))
    found = side_by_side(
        partial(read_all, seed), [numbers[start : start + A_PART] for start in range(0, len(numbers), A_PART)]
    )
    for number, took in list(found.took_ms.items()):
        if took > MAX_MS:
            found.took_ms[number] = read_all(seed, [number]).took_ms[number]
    return found


def side_by_side(read: Callable[[Sequence[int]], Found], parts: Sequence[Sequence[int]]) -> Found:
    """Read all parts. What is left where a process died is read again, each part by a process of its own: a part that
    ends this one too is told, and one that does not was ended by something else, such as a machine without memory."""
    found = Found()
    left = _read_parts(read, parts, 2, found)
    for part in left:
        if _read_parts(read, [part], 1, found):
            found.died.append(f"a process died of one of the values {list(part)}")
    found.again = len(left)
    return found


def _read_parts(
    read: Callable[[Sequence[int]], Found], parts: Sequence[Sequence[int]], processes: int, found: Found
) -> list[Sequence[int]]:
    """-> the parts that are left, since a process died."""
    left: list[Sequence[int]] = []
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        for part, future in [(part, pool.submit(read, part)) for part in parts]:
            try:
                found.add(future.result())
            except BrokenProcessPool:
                left.append(part)
    return left


def rows(seed: int, share: float = 1.0) -> list[Row]:
    """What the lane tells of them."""
    found = run(seed, share)
    late = {number: took for number, took in found.took_ms.items() if took > MAX_MS}
    late_lines = [f"value {seed} {number}: {took:.1f} ms" for number, took in late.items()]
    sys.stdout.writelines(f"{line}\n" for line in (*found.shown, *found.faults, *found.died, *late_lines))
    told = f"the slowest {max(found.took_ms.values(), default=0):.1f} ms, best of three"
    if found.again:
        told += f"; a process died, and {found.again} parts were read again"
    return [
        Row(
            f"a hostile value of up to 25,600 bytes is read within {MAX_MS:.0f} ms of processor time",
            found.values, len(late) + len(found.died), told,
        ),
        Row(
            "no four characters of it are said that are not said of another value of its form",
            found.values, len(found.shown), f"{len(found.sayings):,} different refusals",
        ),
        Row(
            "it is refused, or proven before anything changes: no fault, no write, no provider asked in vain",
            found.values, len(found.faults), f"{found.values - found.taken:,} refused",
        ),
    ]  # fmt: skip


if __name__ == "__main__":
    again = read_all(int(sys.argv[1]), [int(sys.argv[2])])
    sys.stdout.write(f"{again}\n")
