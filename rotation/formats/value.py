"""What every format gives: the parts of a value, and the places where its login is written."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from rotation.errors import Unusable
from rotation.model import SecretValue

_HALF = re.compile(r"[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Host:
    """A server's name or address (IPv6 without brackets; a socket's folder as it stands), and its port if given."""

    name: str
    port: int | None


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the text something is written, and how another text is written there."""

    start: int
    end: int
    write: Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Value:
    """A secret's value, read. `options` has all else that is written in it, keys in lower case.

    What is not the login is never written anew: `with_login` puts a text into the places of password and user, and
    leaves every other character as it was.
    """

    name: str
    text: SecretValue
    password: SecretValue
    user: str | None = None
    hosts: tuple[Host, ...] = ()
    dbname: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    password_places: tuple[Place, ...] = ()
    user_places: tuple[Place, ...] = ()

    def with_login(self, password: SecretValue, user: str | None = None) -> SecretValue:
        """The same value with another password, and another user if one is given.

        Raises:
            Unusable: a user is given, and the value has no place for one.
        """
        edits = [(place, password.reveal()) for place in self.password_places]
        if user is not None and user != self.user:
            if not self.user_places:
                raise Unusable("the value names no user, so consumers could not be told of another", field="value")
            edits += [(place, user) for place in self.user_places]
        text = self.text.reveal()
        for place, new in sorted(edits, key=lambda edit: edit[0].start, reverse=True):
            text = text[: place.start] + place.write(new) + text[place.end :]
        return SecretValue(text)


def check_characters(text: str) -> None:
    r"""Python's texts, and JSON's "\ud800", may hold the half of a character; no file, driver or log takes one.

    Raises:
        Unusable: it does.
    """
    if _HALF.search(text):
        raise Unusable("the value holds the half of a character (\\ud800 to \\udfff)", field="value")


def port_of(text: str) -> int | None:
    """A port as written, or None where there is none.

    Raises:
        Unusable: it is no number that a port can be.
    """
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65536):  # noqa: PLR2004  what TCP has
        raise Unusable("a port in the value is no number between 1 and 65535", field="value")
    return int(text)


def hosts_of(names: str, ports: str = "") -> tuple[Host, ...]:
    """Comma-separated hosts with their comma-separated ports; one port serves all hosts, as in libpq.

    Raises:
        Unusable: there are neither as many ports as hosts, nor one.
    """
    if not names:
        return ()
    listed, given = names.split(","), ports.split(",")
    if len(given) == 1:
        given = given * len(listed)
    if len(given) != len(listed):
        raise Unusable("the value has another number of ports than of hosts", field="value")
    return tuple(
        Host(name.strip().removeprefix("[").removesuffix("]"), port_of(port.strip()))
        for name, port in zip(listed, given, strict=True)
    )
