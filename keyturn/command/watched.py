"""The secrets that a program uses: read at its start, and looked at again by and by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

from keyturn import KeyturnError, RotatingSecret

LOOK_S = 1.0  # for a version that a change in place is about to publish; the gap is about one write of the vault
_AT_ONCE = 8


class Unreadable(Exception):
    """Some secrets can't be read: one line with each, and its cause."""


class Watched:
    """By reference; each is read once, however many variables and files it becomes."""

    def __init__(self, names: Mapping[str, str], secret: Callable[[str], RotatingSecret]) -> None:
        """names: by reference, what the secret is for, as a message says it. secret: makes one of a reference."""
        self._names = names
        self._secrets = {reference: secret(reference) for reference in names}

    def read(self) -> dict[str, str]:
        """The values of all.

        Raises:
            Unreadable: names each that can't be read.
        """
        found = self._each(lambda _, secret: secret.value)
        failed = [f"{self._names[one]}: {error}" for one, error in found.items() if isinstance(error, KeyturnError)]
        if failed:
            raise Unreadable("; ".join(failed))
        return {reference: value for reference, value in found.items() if isinstance(value, str)}

    def newer(self, known: Mapping[str, str]) -> dict[str, str]:
        """Those with another value than the known one, as far as the background reads know. At once."""
        values = {reference: secret.value for reference, secret in self._secrets.items()}
        return {reference: value for reference, value in values.items() if value != known[reference]}

    def look(self, known: Mapping[str, str]) -> dict[str, str]:
        """As `newer`, but read now, for up to `LOOK_S`; what can't be read has no other value."""
        found = self._each(lambda reference, secret: secret.other_than(known[reference]))
        return {reference: value for reference, value in found.items() if isinstance(value, str)}

    def _each(self, ask: Callable[[str, RotatingSecret], str]) -> dict[str, str | KeyturnError]:
        """Side by side: by reference, the answer or what was in its way."""

        def one(reference: str) -> str | KeyturnError:
            try:
                return ask(reference, self._secrets[reference])
            except KeyturnError as error:
                return error

        with ThreadPoolExecutor(min(_AT_ONCE, len(self._secrets)), thread_name_prefix="keyturn-run") as pool:
            return dict(zip(self._secrets, pool.map(one, self._secrets), strict=True))
