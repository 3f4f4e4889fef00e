"""Secrets and their versions, in the database. Every change is committed when the method returns.

The latest version is the one written last; `seq` keeps that order strictly, since `created` counts whole seconds.
"""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from local.vault import errors
from local.vault.clock import Clock
from local.vault.database import Database
from local.vault.outbox import Outbox
from local.vault.settling import Doing, Settling, refusal
from rotation.model import SecretValue

RECOVERABLE_DAYS = 90


@dataclass(frozen=True, slots=True)
class Attributes:
    """What a caller may set on a version. None: not given, so what stands is left as it is."""

    enabled: bool | None = None
    nbf: int | None = None
    exp: int | None = None
    content_type: str | None = None
    tags: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Version:
    """One version; times in seconds since the epoch. `deleted` and `purge_at` are set where the secret is deleted."""

    name: str
    version: str
    value: SecretValue
    content_type: str | None
    enabled: bool
    nbf: int | None
    exp: int | None
    created: int
    updated: int
    tags: Mapping[str, str] | None
    deleted: int | None = None
    purge_at: int | None = None


_VERSION = "SELECT s.name, s.deleted, s.purge_at, v.* FROM secrets s JOIN versions v ON v.secret = s.id "
_IN_SIGHT = "s.deleted > 0 AND (s.doing IS NULL OR s.doing = 'purging')"  # of a deleted secret
_LATEST = _VERSION + "AND v.seq = (SELECT max(seq) FROM versions WHERE secret = s.id) "  # noqa: S608  two constants


class Store:
    """The secrets of one vault. Names are found whatever their case, and keep the case they were made with.

    What takes a while (`settling`) is done by the first call after its time. Raises `ServiceError`s.
    """

    def __init__(self, database: Database, outbox: Outbox, clock: Clock, vault: str, settling: Settling) -> None:
        self._database = database
        self._outbox = outbox
        self._clock = clock
        self._vault = vault
        self._settling = settling

    def set(self, name: str, value: SecretValue, given: Attributes) -> Version:
        """Write a new version, which is the latest from now on."""
        now = self._clock.stamp()
        new = Version(
            name=name,
            version=uuid.uuid4().hex,
            value=value,
            content_type=given.content_type,
            enabled=given.enabled is not False,
            nbf=given.nbf,
            exp=given.exp,
            created=now,
            updated=now,
            tags=given.tags,
        )
        with self._database.transaction():
            found = self._secret(name)
            if found is not None and found["doing"] is not None:
                raise refusal(found["doing"])
            if found is not None and found["deleted"] is not None:
                raise errors.deleted_but_recoverable(found["name"])
            secret = self._create(name) if found is None else int(found["id"])
            self._insert(secret, new)
            self._outbox.reschedule(secret)
            self._outbox.announce(secret, self._clock.now())
        return self.get(name, new.version)

    def get(self, name: str, version: str | None = None) -> Version:
        """A version; None: the latest."""
        self._settle()
        live = "WHERE s.vault = ? AND s.name = ? AND s.deleted IS NULL"
        if version is None:
            row = self._database.row(_LATEST + live, self._vault, name)
        else:
            row = self._database.row(_VERSION + live + " AND v.version = ?", self._vault, name, version)
        if row is None:
            raise errors.not_found(name if version is None else f"{name}/{version}")
        return _version(row)

    def update(self, name: str, version: str | None, given: Attributes) -> Version:
        """Change a version's attributes; tags are replaced as a whole."""
        with self._database.transaction():
            secret = self._existing(name)
            old = self.get(name, version)
            tags = old.tags if given.tags is None else given.tags
            self._database.execute(
                "UPDATE versions SET enabled = ?, nbf = ?, exp = ?, content_type = ?, tags = ?, updated = ?"
                " WHERE secret = ? AND version = ?",
                old.enabled if given.enabled is None else given.enabled,
                old.nbf if given.nbf is None else given.nbf,
                old.exp if given.exp is None else given.exp,
                old.content_type if given.content_type is None else given.content_type,
                None if tags is None else json.dumps(dict(tags)),
                self._clock.stamp(),
                secret,
                old.version,
            )
            self._outbox.reschedule(secret)
        return self.get(name, old.version)

    def latest(self, after: str, limit: int) -> list[Version]:
        """The latest version of every secret whose name comes after `after`, by name."""
        self._settle()
        where = "WHERE s.vault = ? AND s.deleted IS NULL AND s.name > ? ORDER BY s.name LIMIT ?"
        return [_version(row) for row in self._database.rows(_LATEST + where, self._vault, after, limit)]

    def versions(self, name: str, after: str, limit: int) -> list[Version]:
        """A secret's versions, by version id: not in the order they were made, as in the service."""
        self._settle()
        where = "WHERE s.vault = ? AND s.name = ? AND s.deleted IS NULL AND v.version > ? ORDER BY v.version LIMIT ?"
        return [_version(row) for row in self._database.rows(_VERSION + where, self._vault, name, after, limit)]

    def delete(self, name: str) -> Version:
        """Begin to soft-delete a secret: its name stays taken until it is recovered or purged."""
        now = self._clock.stamp()
        with self._database.transaction():
            secret = self._existing(name)
            purge_at = now + RECOVERABLE_DAYS * 86_400
            self._database.execute("UPDATE secrets SET deleted = ?, purge_at = ? WHERE id = ?", now, purge_at, secret)
            self._begin(secret, Doing.DELETING)
            self._outbox.reschedule(secret)
            (row,) = self._database.rows(_LATEST + "WHERE s.id = ?", secret)
        return _version(row)

    def deleted(self, name: str) -> Version:
        """The latest version of a deleted secret."""
        self._settle()
        row = self._database.row(_LATEST + "WHERE s.vault = ? AND s.name = ? AND " + _IN_SIGHT, self._vault, name)
        if row is None:
            raise errors.deleted_not_found(name)
        return _version(row)

    def all_deleted(self, after: str, limit: int) -> list[Version]:
        """The latest version of every deleted secret whose name comes after `after`, by name."""
        self._settle()
        where = f"WHERE s.vault = ? AND {_IN_SIGHT} AND s.name > ? ORDER BY s.name LIMIT ?"
        return [_version(row) for row in self._database.rows(_LATEST + where, self._vault, after, limit)]

    def recover(self, name: str) -> Version:
        """Begin to bring a deleted secret back, with all its versions."""
        with self._database.transaction():
            found = self._deleted_one(name)
            recovered = self.deleted(name)
            self._begin(found, Doing.RECOVERING)
        return recovered

    def purge(self, name: str) -> None:
        """Begin to forget a deleted secret for good."""
        with self._database.transaction():
            self._begin(self._deleted_one(name), Doing.PURGING)

    def purge_scheduled(self) -> None:
        """Forget the deleted secrets whose recoverable days are over."""
        self._database.execute("DELETE FROM secrets WHERE vault = ? AND purge_at <= ?", self._vault, self._clock.now())

    def history(self, name: str) -> list[Version]:
        """All versions, the oldest first: what a backup holds."""
        self._settle()
        where = "WHERE s.vault = ? AND s.name = ? AND s.deleted IS NULL ORDER BY v.seq"
        found = [_version(row) for row in self._database.rows(_VERSION + where, self._vault, name)]
        if not found:
            raise errors.not_found(name)
        return found

    def restore(self, history: Iterable[Version]) -> Version:
        """Write a backup's versions under their old name and ids; the name must be free."""
        versions = list(history)
        name = versions[-1].name
        with self._database.transaction():
            found = self._secret(name)
            if found is not None and found["doing"] is not None:
                raise refusal(found["doing"])
            if found is not None:
                raise errors.name_in_use(name) if found["deleted"] is None else errors.deleted_but_recoverable(name)
            secret = self._create(name)
            for version in versions:
                self._insert(secret, version)
            self._begin(secret, Doing.RESTORING)
            self._outbox.reschedule(secret)
        return self.get(name)

    def _begin(self, secret: int, doing: Doing) -> None:
        done_at = self._clock.now() + self._settling.seconds
        self._database.execute("UPDATE secrets SET doing = ?, done_at = ? WHERE id = ?", doing.value, done_at, secret)
        self._settle()

    def _settle(self) -> None:
        """Do what takes a while and whose time is over, in whichever vault of this process."""
        over = "doing IS NOT NULL AND done_at <= ?"
        for row in self._database.rows("SELECT id, doing FROM secrets WHERE " + over, self._clock.now()):  # noqa: S608  a constant
            if row["doing"] == Doing.PURGING:
                self._database.execute("DELETE FROM secrets WHERE id = ?", row["id"])
                continue
            gone = "deleted = NULL, purge_at = NULL, " if row["doing"] == Doing.RECOVERING else ""
            done = f"UPDATE secrets SET {gone}doing = NULL, done_at = NULL WHERE id = ?"  # noqa: S608  a constant
            self._database.execute(done, row["id"])
            self._outbox.reschedule(row["id"])

    def _secret(self, name: str) -> sqlite3.Row | None:
        self._settle()
        return self._database.row("SELECT * FROM secrets WHERE vault = ? AND name = ?", self._vault, name)

    def _existing(self, name: str) -> int:
        found = self._secret(name)
        if found is not None and found["doing"] is not None:
            raise refusal(found["doing"])
        if found is None or found["deleted"] is not None:
            raise errors.not_found(name)
        return int(found["id"])

    def _deleted_one(self, name: str) -> int:
        found = self._secret(name)
        if found is not None and found["doing"] is not None:
            raise refusal(found["doing"])
        if found is None or found["deleted"] is None:
            raise errors.deleted_not_found(name)
        return int(found["id"])

    def _create(self, name: str) -> int:
        made = self._database.execute("INSERT INTO secrets (vault, name) VALUES (?, ?)", self._vault, name)
        return int(made.lastrowid or 0)

    def _insert(self, secret: int, version: Version) -> None:
        self._database.execute(
            "INSERT INTO versions (secret, version, value, content_type, enabled, nbf, exp, created, updated, tags)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            secret,
            version.version,
            version.value.reveal(),
            version.content_type,
            version.enabled,
            version.nbf,
            version.exp,
            version.created,
            version.updated,
            None if version.tags is None else json.dumps(dict(version.tags)),
        )


def _version(row: sqlite3.Row) -> Version:
    return Version(
        name=row["name"],
        version=row["version"],
        value=SecretValue(row["value"]),
        content_type=row["content_type"],
        enabled=bool(row["enabled"]),
        nbf=row["nbf"],
        exp=row["exp"],
        created=row["created"],
        updated=row["updated"],
        tags=None if row["tags"] is None else json.loads(row["tags"]),
        deleted=row["deleted"],
        purge_at=row["purge_at"],
    )
