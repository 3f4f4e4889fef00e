"""Backups: all versions of a secret in a form that only this installation can read, as in the service."""

from __future__ import annotations

import base64
import json
from dataclasses import fields

from cryptography.fernet import Fernet, InvalidToken

from local.vault import errors
from local.vault.store import Version
from rotation.model import SecretValue


class Backups:
    """Seals and opens backups with a key that stays in the data directory."""

    def __init__(self, key: str) -> None:
        self._fernet = Fernet(key)

    @staticmethod
    def new_key() -> str:
        """A key to remember."""
        return Fernet.generate_key().decode()

    def seal(self, history: list[Version]) -> str:
        """The backup, base64url without padding as it goes over the wire."""
        plain = [
            {**{field.name: getattr(version, field.name) for field in fields(version)}, "value": version.value.reveal()}
            for version in history
        ]
        sealed = self._fernet.encrypt(json.dumps(plain).encode())
        return base64.urlsafe_b64encode(sealed).decode().rstrip("=")

    def open(self, text: object) -> list[Version]:
        """The versions in a backup.

        Raises:
            ServiceError: it is not a backup of this installation.
        """
        if not isinstance(text, str):
            raise errors.bad_parameter("The parameter value is missing or is not a string.")
        try:
            sealed = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
            plain = json.loads(self._fernet.decrypt(sealed))
        except (ValueError, InvalidToken):
            raise errors.malformed_backup() from None
        return [Version(**{**entry, "value": SecretValue(entry["value"])}) for entry in plain]
