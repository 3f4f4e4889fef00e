"""Which events are due, which were raised, and which of those were delivered: all in the database.

An event becomes due with the write that gives a version its expiry, and is raised in the one transaction that takes
it off the list; so no restart raises it twice or forgets it. Only a secret's current version raises events ("Azure
Key Vault as Event Grid source"): a new version takes its predecessor's off the list.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from local.resources import vault_resource
from local.vault.database import Database

NEAR_EXPIRY = "Microsoft.KeyVault.SecretNearExpiry"
EXPIRED = "Microsoft.KeyVault.SecretExpired"
NEW_VERSION = "Microsoft.KeyVault.SecretNewVersionCreated"
NEAR_EXPIRY_LEAD_S = 30 * 86_400

_CURRENT = """
SELECT s.vault, s.name, s.deleted, v.seq, v.version, v.nbf, v.exp
FROM secrets s JOIN versions v ON v.seq = (SELECT max(seq) FROM versions WHERE secret = s.id)
"""


@dataclass(frozen=True, slots=True)
class Event:
    """One raised event. `body` is an event of the Event Grid schema; state: pending, delivered or refused."""

    id: str
    vault: str
    name: str
    version: str
    type: str
    body: dict[str, Any]
    state: str
    attempts: int


class Outbox:
    """The events of all vaults. `url` gives a vault's address, which is part of an event's `data.Id`."""

    def __init__(self, database: Database, url: Callable[[str], str], *, new_versions: bool) -> None:
        self._database = database
        self._url = url
        self._new_versions = new_versions

    def reschedule(self, secret: int) -> None:
        """Put right what is due for a secret; called inside the transaction of every write to it."""
        db = self._database
        db.execute("DELETE FROM due WHERE version IN (SELECT seq FROM versions WHERE secret = ?)", secret)
        current = db.row(_CURRENT + "WHERE s.id = ?", secret)
        if current is None or current["deleted"] is not None or current["exp"] is None:
            return
        for kind, at in ((NEAR_EXPIRY, current["exp"] - NEAR_EXPIRY_LEAD_S), (EXPIRED, current["exp"])):
            db.execute(
                "INSERT INTO due SELECT ?, ?, ? WHERE NOT EXISTS"
                " (SELECT 1 FROM events WHERE vault = ? AND version = ? AND type = ?)",
                current["seq"],
                kind,
                at,
                current["vault"],
                current["version"],
                kind,
            )

    def announce(self, secret: int, now: float) -> None:
        """Raise SecretNewVersionCreated for the current version, where that was asked for."""
        if self._new_versions:
            self._raise(self._database.rows(_CURRENT + "WHERE s.id = ?", secret), NEW_VERSION, now)

    def raise_due(self, now: float) -> None:
        """Raise what is due by `now`."""
        if self._database.row("SELECT 1 FROM due WHERE at <= ?", now) is None:
            return
        with self._database.transaction():
            for kind in (NEAR_EXPIRY, EXPIRED):
                due = _CURRENT + "JOIN due d ON d.version = v.seq WHERE d.at <= ? AND d.type = ? ORDER BY d.at"
                self._raise(self._database.rows(due, now, kind), kind, now)
            self._database.execute("DELETE FROM due WHERE at <= ?", now)

    def _raise(self, versions: Sequence[Any], kind: str, now: float) -> None:
        for version in versions:
            body = self._body(version, kind, now)
            self._database.execute(
                "INSERT INTO events (id, vault, name, version, type, body, state, attempts)"
                " VALUES (?, ?, ?, ?, ?, ?, 'pending', 0)",
                body["id"],
                version["vault"],
                version["name"],
                version["version"],
                kind,
                json.dumps(body),
            )

    def _body(self, version: Any, kind: str, now: float) -> dict[str, Any]:
        return {
            "id": str(uuid.uuid4()),
            "topic": vault_resource(version["vault"]),
            "subject": version["name"],
            "eventType": kind,
            "eventTime": datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f0Z"),
            "data": {
                "Id": f"{self._url(version['vault'])}/secrets/{version['name']}/{version['version']}",
                "VaultName": version["vault"],
                "ObjectType": "Secret",
                "ObjectName": version["name"],
                "Version": version["version"],
                "NBF": version["nbf"],
                "EXP": version["exp"],
            },
            "dataVersion": "1",
            "metadataVersion": "1",
        }

    def events(self) -> list[Event]:
        """Every event ever raised, oldest first."""
        return [_event(row) for row in self._database.rows("SELECT * FROM events ORDER BY number")]

    def pending(self) -> list[str]:
        """The ids of the events that nobody has taken yet, oldest first."""
        return [
            row["id"] for row in self._database.rows("SELECT id FROM events WHERE state = 'pending' ORDER BY number")
        ]

    def body(self, event_id: str) -> dict[str, Any]:
        """What is delivered of an event."""
        (row,) = self._database.rows("SELECT body FROM events WHERE id = ?", event_id)
        body: dict[str, Any] = json.loads(row["body"])
        return body

    def attempted(self, event_id: str) -> None:
        """Count an attempt to deliver."""
        self._database.execute("UPDATE events SET attempts = attempts + 1 WHERE id = ?", event_id)

    def settle(self, event_id: str, state: str) -> None:
        """Record that an event was `delivered`, or `refused` for good."""
        self._database.execute("UPDATE events SET state = ? WHERE id = ?", state, event_id)

    def replay(self, *, ids: Sequence[str] | None = None, name: str | None = None, kind: str | None = None) -> int:
        """Deliver again what matches; nothing given means everything. Answers how many."""
        again = [
            event
            for event in self.events()
            if (ids is None or event.id in ids)
            and (name is None or event.name.lower() == name.lower())
            and (kind is None or event.type == kind)
        ]
        with self._database.transaction():
            for event in again:
                self.settle(event.id, "pending")
        return len(again)


def _event(row: Any) -> Event:
    return Event(
        id=row["id"],
        vault=row["vault"],
        name=row["name"],
        version=row["version"],
        type=row["type"],
        body=json.loads(row["body"]),
        state=row["state"],
        attempts=row["attempts"],
    )
