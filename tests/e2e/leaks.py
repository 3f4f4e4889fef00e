"""Looks for values where none may stand: as they are, in base64 at any of its three offsets, and URL-encoded."""

import base64
import re
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import quote, quote_plus, unquote, urlsplit

from ahocorasick_rs import BytesAhoCorasick

TOKEN = re.compile(rb"eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.")
SHORTEST = 12  # a shorter text could stand somewhere by chance
LONGEST = 256  # of a longer one both ends are looked for: the search's tables would grow with it


def forms(value: str) -> set[bytes]:
    """Every form of a value that is looked for; of a connection string, those of its password too."""
    texts = {value}
    with suppress(ValueError):  # not every value is the URL that it looks like
        if password := urlsplit(value).password:
            texts |= {password, unquote(password)}
    found = set()
    for text in {part for one in texts if len(one) >= SHORTEST for part in (one[:LONGEST], one[-LONGEST:])}:
        raw = text.encode()
        found |= {raw, quote(text, safe="").encode(), quote_plus(text).encode()}
        # Inside a longer text its base64 depends on where it begins; the ends of each are shared with the neighbours.
        for offset in range(3):
            encoded = base64.b64encode(b"\0" * offset + raw)[4 if offset else 0 : -4]
            found |= {encoded, encoded.replace(b"+", b"-").replace(b"/", b"_")}
    return found


def values_of(data: Path) -> Iterator[str]:
    """Every value that the vaults of a stack ever held."""
    yield from values_in(data / "vault" / "vault.db")


def values_in(path: Path) -> Iterator[str]:
    """Every value that the vaults of one file ever held."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        yield from (str(row[0]) for row in database.execute("SELECT value FROM versions"))


def places(data: Path) -> Iterator[Path]:
    """Where nothing may stand: each log, the ledger, the queue with what was deleted from it."""
    yield from data.glob("*.log")
    yield data / "postgres" / "server.log"
    for folder in ("ledger", "host"):
        yield from (path for path in (data / folder).rglob("*") if path.is_file())


def standing(values: Iterable[str], texts: Iterable[tuple[str, bytes]]) -> Iterator[tuple[str, str | None]]:
    """Each place where a value stands, with the first one there; with None where it is an access token."""
    owners = {form: value for value in values for form in forms(value)}
    wanted, found = BytesAhoCorasick(list(owners)), list(owners.values())
    for name, text in texts:
        if matches := wanted.find_matches_as_indexes(text):
            yield name, found[matches[0][0]]
        if TOKEN.search(text):
            yield name, None


def leaks(values: Iterable[str], texts: Iterable[tuple[str, bytes]]) -> list[str]:
    """Where a value or an access token stands; never the value itself."""
    return [f"{name}: {'a token' if value is None else 'a value'}" for name, value in standing(values, texts)]
