"""The storage queue of one machine, in SQLite: visibility, receipts, tries, poison."""

from __future__ import annotations

import sqlite3
import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_SCHEMA = """
CREATE TABLE IF NOT EXISTS messages (
    id TEXT PRIMARY KEY, queue TEXT NOT NULL, body TEXT NOT NULL, tries INTEGER NOT NULL DEFAULT 0,
    inserted REAL NOT NULL, visible REAL NOT NULL, taken INTEGER NOT NULL DEFAULT 0, receipt TEXT NOT NULL DEFAULT ''
) STRICT
"""


@dataclass(frozen=True, slots=True)
class Message:
    """One message in hand. `tries` counts this one."""

    id: str
    body: str
    tries: int
    inserted: float


class Queues:
    """All queues of one host, the only consumer.

    What was in hand when a host was killed stays out of sight for as long as that host had taken it, as on Azure.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(path, isolation_level=None)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute(_SCHEMA)
        columns = {row[1] for row in self._database.execute("PRAGMA table_info(messages)")}
        if "receipt" not in columns:  # of an earlier package
            self._database.execute("ALTER TABLE messages ADD COLUMN receipt TEXT NOT NULL DEFAULT ''")
        self._database.execute("UPDATE messages SET taken = 0 WHERE taken = 1")

    def put(self, queue: str, bodies: Iterable[str], *, delay_s: float = 0) -> None:
        """All of them, or none."""
        now = time.time()
        rows = [(str(uuid.uuid4()), queue, body, now, now + delay_s) for body in bodies]
        self._database.execute("BEGIN IMMEDIATE")
        self._database.executemany(
            "INSERT INTO messages (id, queue, body, inserted, visible) VALUES (?, ?, ?, ?, ?)", rows
        )
        self._database.execute("COMMIT")

    def send(self, queue: str, body: str, *, delay_s: float = 0) -> tuple[str, str]:
        """One message -> its id, and the receipt by which it can be deleted until somebody takes it."""
        message, receipt, now = str(uuid.uuid4()), uuid.uuid4().hex, time.time()
        self._database.execute(
            "INSERT INTO messages (id, queue, body, inserted, visible, receipt) VALUES (?, ?, ?, ?, ?, ?)",
            (message, queue, body, now, now + delay_s, receipt),
        )
        return message, receipt

    def delete(self, queue: str, message: str, receipt: str) -> bool:
        """Take one away by its receipt. False: it is gone, or somebody took it since."""
        deleted = self._database.execute(
            "DELETE FROM messages WHERE id = ? AND queue = ? AND receipt = ?", (message, queue, receipt)
        )
        return deleted.rowcount > 0

    def take(self, queue: str, visibility_s: float) -> Message | None:
        """The next visible message, hidden for `visibility_s`; None where there is none."""
        now = time.time()
        row = self._database.execute(
            "UPDATE messages SET tries = tries + 1, taken = 1, visible = ?, receipt = ? WHERE id = (SELECT id FROM"
            " messages WHERE queue = ? AND visible <= ? ORDER BY inserted LIMIT 1) RETURNING id, body, tries, inserted",
            (now + visibility_s, uuid.uuid4().hex, queue, now),
        ).fetchone()
        return Message(*row) if row else None

    def done(self, message: Message) -> None:
        """Handled: it goes."""
        self._database.execute("DELETE FROM messages WHERE id = ?", (message.id,))

    def failed(self, message: Message, visibility_s: float, most_tries: int) -> None:
        """Back after `visibility_s`, or to `<queue>-poison` after the last try."""
        if message.tries >= most_tries:
            self._database.execute(
                "UPDATE messages SET queue = queue || '-poison', taken = 0, visible = 0 WHERE id = ?", (message.id,)
            )
        else:
            self._database.execute(
                "UPDATE messages SET taken = 0, visible = ? WHERE id = ?", (time.time() + visibility_s, message.id)
            )

    def count(self, queue: str) -> int:
        """Messages in a queue, hidden ones too."""
        row = self._database.execute("SELECT count(*) FROM messages WHERE queue = ?", (queue,)).fetchone()
        return int(row[0])

    def peek(self, queue: str, most: int) -> list[Message]:
        """The oldest visible messages, which stay where they are."""
        rows = self._database.execute(
            "SELECT id, body, tries, inserted FROM messages WHERE queue = ? AND visible <= ? ORDER BY inserted LIMIT ?",
            (queue, time.time(), most),
        )
        return [Message(*row) for row in rows]

    def delayed(self, queue: str) -> int:
        """Messages that nobody works on and that are hidden until later."""
        row = self._database.execute(
            "SELECT count(*) FROM messages WHERE queue = ? AND taken = 0 AND visible > ?", (queue, time.time())
        ).fetchone()
        return int(row[0])

    def close(self) -> None:
        """Close the file."""
        self._database.close()
