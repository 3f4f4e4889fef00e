"""Operations one after the other: each is counted, and one that fails does not keep the others from being tried."""

from collections.abc import Callable, Mapping
from typing import Any

from tests.foreign_clients.told import Told


def tried(client: str, steps: Mapping[str, Callable[[], object]]) -> Told:
    """steps: by what they do. One that raises, or returns False, has failed."""
    lines = []
    for what, act in steps.items():
        try:
            why = "it is not as it should be" if act() is False else ""
        except Exception as error:  # noqa: BLE001  whatever it is, it is told, and the others are tried
            why = f"{type(error).__name__}: {error}".strip().split("\n")[0][:300]
        if why:
            lines.append(f"not ok {what} -- {why}")
    return Told(client, len(steps), len(lines), tuple(lines))


def refused(act: Callable[[], object], error: type[Exception]) -> Any:
    """The error with which a call ends.

    Raises:
        LookupError: it ends with none.
    """
    try:
        act()
    except error as found:
        return found
    raise LookupError("it is not refused")
