"""An account as the server writes it (`SHOW CREATE USER`): how it logs in, and what may end its password.

What is not understood is refused, and never left out: the statement that sets a password names every way in.

Sources: MySQL, "SHOW CREATE USER Statement" and "CREATE USER Statement" (8.0 to 9.7); MariaDB, the same pages (10.6 to
11.8), and "Authentication Plugins" about several of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from rotation.rotators.mysql.hashes import ED25519, NATIVE, SHA2

_TOKEN = re.compile(
    r"""\s*(?:'(?P<text>(?:[^'\\]|''|\\.)*)'|`(?P<name>(?:[^`]|``)*)`|(?P<word><secret>|[^\s'`,@]+|[,@]))""", re.DOTALL
)
_ESCAPED = re.compile(r"\\(.)|''", re.DOTALL)
_OF_BACKSLASH = {"0": "\0", "n": "\n", "r": "\r", "t": "\t", "b": "\b", "Z": "\x1a"}
# Ways in that need no password. They are kept as they are.
WITHOUT_PASSWORD = frozenset({"unix_socket", "auth_socket", "mysql_no_login"})
PASSWORDS = frozenset({NATIVE, SHA2, ED25519})


class Unclear(Exception):
    """What the server says of the account is not what is known; its message has no word of the server's."""


@dataclass(frozen=True, slots=True)
class Way:
    """One of the ways to log in. kept: what the server keeps for it; None: it does not say, or there is nothing."""

    plugin: str
    kept: str | None


@dataclass(frozen=True, slots=True)
class Described:
    """ways: in the server's order. expires_days: how long a password lasts; 0: for ever, None: as the server's default.

    failures_lock: so many failed logins, one after another, lock it; 0: none do. per_hour: its limits of connections
    and statements in an hour; those that are set.
    """

    ways: tuple[Way, ...]
    locked: bool = False
    expired: bool = False
    expires_days: int | None = None
    failures_lock: int = 0
    per_hour: tuple[int, ...] = ()


def described(statement: str) -> Described:
    """Read what `SHOW CREATE USER` answered.

    Raises:
        Unclear.
    """
    tokens = list(_tokens(statement))
    words = [word for word, quoted in tokens]
    if [word.upper() for word in words[:2]] != ["CREATE", "USER"] or words[3:4] != ["@"]:
        raise Unclear("its description does not begin as one")
    rest = tokens[5:]
    ways, rest = _ways(rest)
    plain = [word.upper() if not quoted else "'" for word, quoted in rest]
    return Described(
        ways,
        locked=_has(plain, "ACCOUNT", "LOCK"),
        expired=_expired(plain),
        expires_days=_expires(plain),
        failures_lock=_number(plain, "FAILED_LOGIN_ATTEMPTS") or 0,
        per_hour=tuple(
            limit
            for name in ("MAX_CONNECTIONS_PER_HOUR", "MAX_QUERIES_PER_HOUR", "MAX_UPDATES_PER_HOUR")
            if (limit := _number(plain, name))
        ),
    )


def _tokens(statement: str) -> Iterator[tuple[str, bool]]:
    """-> (what it says, whether it was quoted)."""
    position = 0
    while position < len(statement.rstrip()):
        found = _TOKEN.match(statement, position)
        if found is None:
            raise Unclear("its description can't be read")
        position = found.end()
        if found["text"] is not None:
            yield _ESCAPED.sub(_unescaped, found["text"]), True
        elif found["name"] is not None:
            yield found["name"].replace("``", "`"), True
        else:
            yield found["word"], False


def _unescaped(found: re.Match[str]) -> str:
    return "'" if found[1] is None else _OF_BACKSLASH.get(found[1], found[1])


def _ways(tokens: list[tuple[str, bool]]) -> tuple[tuple[Way, ...], list[tuple[str, bool]]]:
    """The clause IDENTIFIED, and what follows it."""
    if not tokens or tokens[0][0].upper() != "IDENTIFIED":
        return (Way(NATIVE, None),), tokens  # MariaDB, of an account that has no password
    kind = tokens[1][0].upper() if len(tokens) > 1 else ""
    if kind == "BY":  # MariaDB: IDENTIFIED BY PASSWORD '*…'
        if tokens[2][0].upper() != "PASSWORD" or not tokens[3][1]:
            raise Unclear("it is not said how it logs in")
        return (Way(NATIVE, tokens[3][0]),), tokens[4:]
    if kind not in {"VIA", "WITH"}:
        raise Unclear("it is not said how it logs in")
    ways: list[Way] = []
    position = 2
    while True:
        plugin = tokens[position][0]
        position += 1
        kept = None
        if position + 1 < len(tokens) and not tokens[position][1] and tokens[position][0].upper() in {"USING", "AS"}:
            kept = tokens[position + 1][0] if tokens[position + 1][1] else _unquoted(tokens[position + 1][0])
            position += 2
        ways.append(Way(plugin, kept))
        following = tokens[position][0].upper() if position < len(tokens) and not tokens[position][1] else ""
        if following == "AND":
            raise Unclear("it logs in by several factors")
        if following != "OR":
            return tuple(ways), tokens[position:]
        position += 1


def _unquoted(word: str) -> str | None:
    if word == "<secret>":
        return None
    if word.lower().startswith("0x"):
        return bytes.fromhex(word[2:]).decode("latin-1")
    raise Unclear("it is not said how it logs in")


def _has(words: list[str], *wanted: str) -> bool:
    return any(tuple(words[at : at + len(wanted)]) == wanted for at in range(len(words)))


def _number(words: list[str], name: str) -> int | None:
    if name not in words:
        return None
    following = words[words.index(name) + 1 : words.index(name) + 2]
    return int(following[0]) if following and following[0].isdecimal() else None


def _expired(words: list[str]) -> bool:
    """PASSWORD EXPIRE, and none of DEFAULT, NEVER and INTERVAL behind it."""
    return any(
        words[at : at + 2] == ["PASSWORD", "EXPIRE"]
        and words[at + 2 : at + 3] not in (["DEFAULT"], ["NEVER"], ["INTERVAL"])
        for at in range(len(words))
    )


def _expires(words: list[str]) -> int | None:
    if _has(words, "PASSWORD", "EXPIRE", "NEVER"):
        return 0
    if _has(words, "PASSWORD", "EXPIRE", "INTERVAL"):
        return _number(words, "INTERVAL") or 0  # the first of that name: REUSE INTERVAL follows it
    return None
