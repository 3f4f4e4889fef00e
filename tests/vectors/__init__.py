"""Connection strings, and what the parsers of real drivers read in each; see README.md beside this file."""

import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("strings.json.gz")


@dataclass(frozen=True)
class Reading:
    """What one driver reads; hosts are in the order in which it tries them, and None is what it takes a default for."""

    hosts: tuple[tuple[str | None, int | str | None], ...]
    user: str | None
    password: str | None
    database: str | None


@dataclass(frozen=True)
class Vector:
    """One string. readings: of each driver that could meet it; None where the driver refuses it."""

    id: str
    text: str
    readings: Mapping[str, Reading | None]

    @property
    def family(self) -> str:
        return self.id.partition("/")[0]


def vectors() -> Sequence[Vector]:
    """All of them, in the order of their ids."""
    raw = json.loads(gzip.decompress(FILE.read_bytes()))
    return [
        Vector(one["id"], _text(one["parts"]), {name: _reading(read) for name, read in one["readings"].items()})
        for one in raw["strings"]
    ]


def _text(parts: Sequence[tuple[str, int]]) -> str:
    return "".join(text * times for text, times in parts)


def _reading(raw: Any) -> Reading | None:
    if raw is None:
        return None
    hosts, user, password, database = raw
    # Some list the same password or database for each of several servers.
    return Reading(tuple((name, port) for name, port in hosts), _one(user), _one(password), _one(database))


def _one(raw: Any) -> str | None:
    return raw if raw is None or isinstance(raw, str) else repr(raw)
