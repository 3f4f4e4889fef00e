"""The file that holds what the stand-in must not forget: things, each a JSON object, by kind and id."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_SCHEMA = """
CREATE TABLE IF NOT EXISTS things (
    kind TEXT NOT NULL,
    id TEXT NOT NULL COLLATE NOCASE,
    body TEXT NOT NULL,
    PRIMARY KEY (kind, id)
) WITHOUT ROWID;
"""


class DataInUse(Exception):
    """Another process works on the same data directory; stop it, or name another directory."""


class Store:
    """One connection, used from one thread. Ids are case-insensitive, as Azure's are. A put is committed at once.

    `synchronous=NORMAL` in WAL mode hands each commit to the operating system, so a killed process loses nothing
    ("PRAGMA synchronous" in the SQLite documentation). The exclusive lock keeps a second process off the file.

    Raises:
        DataInUse: see there.
    """

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = directory / "azure.db"
        path.touch(mode=0o600)
        self._before: dict[tuple[str, str], str | None] = {}  # of this process's writes: a lag does not outlive it
        self._connection = sqlite3.connect(path, isolation_level=None, timeout=0)
        try:
            self._connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = NORMAL")
            self._connection.executescript(_SCHEMA)
        except sqlite3.OperationalError as error:
            self._connection.close()
            if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
                raise DataInUse(f"{directory} is in use by another process") from None
            raise

    def close(self) -> None:
        self._connection.close()

    def get(self, kind: str, thing: str, *, lags: bool = False) -> dict[str, Any] | None:
        """One thing; the caller may change the copy and `put` it back. lags: as it was before the last write to it."""
        key = (kind, thing.lower())
        body = self._before[key] if lags and key in self._before else self._body(kind, thing)
        return None if body is None else json.loads(body)

    def _body(self, kind: str, thing: str) -> str | None:
        row = self._connection.execute("SELECT body FROM things WHERE kind = ? AND id = ?", (kind, thing)).fetchone()
        return None if row is None else str(row[0])

    def put(self, kind: str, thing: str, body: Mapping[str, Any]) -> None:
        """Write a thing whole."""
        self._before[kind, thing.lower()] = self._body(kind, thing)
        self._connection.execute("INSERT OR REPLACE INTO things VALUES (?, ?, ?)", (kind, thing, json.dumps(body)))

    def all(self, kind: str) -> list[dict[str, Any]]:
        """Every thing of a kind."""
        rows = self._connection.execute("SELECT body FROM things WHERE kind = ? ORDER BY id", (kind,))
        return [json.loads(row[0]) for row in rows]

    def remembered(self, name: str, fresh: str) -> str:
        """A setting that is kept over restarts; `fresh` where it is not known yet."""
        known = self.get("setting", name)
        if known is None:
            self.put("setting", name, {"value": fresh})
            return fresh
        return str(known["value"])
