"""`pairs` of a rule: which of its slots take turns. Loaded only for a rule that has them, or should."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rotation.policy import TWO

if TYPE_CHECKING:
    from rotation.policy.table import Table


def read_pairs(table: Table) -> tuple[tuple[str, str], ...]:
    """Each a list of two different slots that the rule names, and no slot in two of them."""
    place, values, slots = (*table.place, "pairs"), table.values["pairs"], table.values.get("slots")
    if not isinstance(values, list) or not values:
        table.problems.add(place, f"`pairs` must be a list that is not empty, such as {such_as(())}")
        return ()
    pairs: list[tuple[str, str]] = []
    paired: set[str] = set()
    for index, pair in enumerate(values):
        wrong = _wrong(pair, slots if isinstance(slots, list) else [], paired)
        if wrong is None:
            pairs.append((pair[0], pair[1]))
            paired.update(pair)
        else:
            table.problems.add((*place, index), f"`pairs` {wrong}")
    return tuple(pairs)


def _wrong(pair: object, slots: Sequence[object], paired: set[str]) -> str | None:
    if not isinstance(pair, list) or len(pair) != TWO or pair[0] == pair[1]:
        return f"{pair!a:.80}: a pair is a list of two different slots; write it as in {such_as(())}"
    for name in pair:
        if not isinstance(name, str) or name not in slots or name == "*":
            return f"{name!a:.80}: this is none of the rule's `slots`, which must list it by name; add it there"
        if name in paired:
            return f"{name!a:.80}: this takes turns with another already; take it out of one of the two pairs"
    return None


def such_as(slots: Sequence[str]) -> str:
    """The line to write, for these slots."""
    from json import dumps  # noqa: PLC0415  only for a file that is wrong

    names = list(dict.fromkeys(slots)) or ["a", "b", "c", "d"]
    pairs = [names[at : at + TWO] for at in range(0, len(names) - 1, TWO)]
    return f"pairs = {dumps(pairs, ensure_ascii=False)}"
