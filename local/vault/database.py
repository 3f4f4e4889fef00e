"""The file that holds everything the vaults must not forget.

`synchronous=NORMAL` in WAL mode hands every commit to the operating system before it returns, so a killed process
loses nothing (a power cut may cost the last commits; "PRAGMA synchronous" in the SQLite documentation). The exclusive
lock keeps a second process off the same directory; the kernel drops it with the process.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_SCHEMA = """
CREATE TABLE IF NOT EXISTS settings (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS secrets (
    id INTEGER PRIMARY KEY,
    vault TEXT NOT NULL,
    name TEXT NOT NULL COLLATE NOCASE,
    deleted INTEGER,
    purge_at INTEGER,
    doing TEXT,
    done_at REAL,
    UNIQUE (vault, name)
);
CREATE INDEX IF NOT EXISTS secrets_to_purge ON secrets (purge_at) WHERE purge_at IS NOT NULL;
CREATE TABLE IF NOT EXISTS versions (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    secret INTEGER NOT NULL REFERENCES secrets (id) ON DELETE CASCADE,
    version TEXT NOT NULL,
    value TEXT NOT NULL,
    content_type TEXT,
    enabled INTEGER NOT NULL,
    nbf INTEGER,
    exp INTEGER,
    created INTEGER NOT NULL,
    updated INTEGER NOT NULL,
    tags TEXT,
    UNIQUE (secret, version)
);
CREATE INDEX IF NOT EXISTS versions_in_order ON versions (secret, seq);
CREATE TABLE IF NOT EXISTS due (
    version INTEGER NOT NULL REFERENCES versions (seq) ON DELETE CASCADE,
    type TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (version, type)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS due_in_order ON due (at);
CREATE TABLE IF NOT EXISTS events (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    vault TEXT NOT NULL,
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    type TEXT NOT NULL,
    body TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    UNIQUE (vault, version, type)
);
CREATE INDEX IF NOT EXISTS events_pending ON events (number) WHERE state = 'pending';
"""


# What a file of an earlier vault lacks.
_ADDED = {"secrets": {"doing": "TEXT", "done_at": "REAL"}}
_INDEX = "CREATE INDEX IF NOT EXISTS secrets_unsettled ON secrets (done_at) WHERE doing IS NOT NULL"


class DataInUse(Exception):
    """Another vault process works on the same data directory; stop it, or name another directory."""


class Database:
    """One connection, used from one thread. `rows` reads; `transaction` writes, all or nothing."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = directory / "vault.db"
        path.touch(mode=0o600)
        self._connection = sqlite3.connect(path, isolation_level=None, timeout=0)
        self._connection.row_factory = sqlite3.Row
        try:
            self._connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = NORMAL")
            self._connection.execute("PRAGMA foreign_keys = ON")
            self._connection.executescript(_SCHEMA)
            self._bring_up_to_date()
        except sqlite3.OperationalError as error:
            self._connection.close()
            if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
                raise DataInUse(f"{directory} is in use by another vault process") from None
            raise

    def _bring_up_to_date(self) -> None:
        for table, columns in _ADDED.items():
            known = {row["name"] for row in self.rows(f"PRAGMA table_info({table})")}
            for column in columns.keys() - known:
                self.execute(f"ALTER TABLE {table} ADD COLUMN {column} {columns[column]}")
        self.execute(_INDEX)

    def close(self) -> None:
        self._connection.close()

    def rows(self, statement: str, *values: object) -> list[sqlite3.Row]:
        """All rows of a query."""
        return self._connection.execute(statement, values).fetchall()

    def row(self, statement: str, *values: object) -> sqlite3.Row | None:
        """The first row of a query, if any."""
        first: sqlite3.Row | None = self._connection.execute(statement, values).fetchone()
        return first

    def execute(self, statement: str, *values: object) -> sqlite3.Cursor:
        """A statement that changes rows; inside `transaction` it takes part in it."""
        return self._connection.execute(statement, values)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything in the block is committed when it ends, or nothing where it raises."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def setting(self, key: str) -> str | None:
        """A remembered setting."""
        found = self.row("SELECT value FROM settings WHERE key = ?", key)
        return None if found is None else str(found["value"])

    def remember(self, key: str, value: str) -> None:
        """Keep a setting over restarts."""
        self.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", key, value)
