"""The parts of a value while it is read: each of host, port, database, user and password once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from rotation.formats.value import Host, NotUnderstood, Span, Value
from rotation.model import SecretValue

MAX_OPTIONS = 200  # three times as many as any driver knows


def check_count(keywords: int, called: str = "keywords") -> None:
    """Before all of thousands are looked at, which takes its time.

    Raises:
        NotUnderstood: there are too many.
    """
    if keywords > MAX_OPTIONS:
        raise NotUnderstood(f"the value has more than {MAX_OPTIONS} {called}")


@dataclass(slots=True)
class Parts:
    """found: by the names host, port, dbname, user, password. options: all else, keys in lower case."""

    found: dict[str, str] = field(default_factory=dict)
    places: dict[str, Span] = field(default_factory=dict)
    options: dict[str, str] = field(default_factory=dict)

    def place(self, name: str, text: str, start: int, end: int, write: Callable[[str], str]) -> None:
        """A part and where it is.

        Raises:
            Unusable: the value has it already.
        """
        if name in self.found:
            raise NotUnderstood(f"the value names its {name} twice: take one out")
        self.found[name] = text
        self.places[name] = Span(start, end, write)

    def option(self, name: str, text: str) -> None:
        """All else.

        Raises:
            Unusable: it is there already, and drivers differ about which one counts; or there are too many.
        """
        key = name.lower()
        if key in self.options:
            raise NotUnderstood("the value has one of its keywords twice: take one out")
        check_count(len(self.options))
        self.options[key] = text

    def value(
        self, name: str, text: str, hosts: tuple[Host, ...], dbname: str | None, *, user_is_database: bool = True
    ) -> Value:
        """All of it. user_is_database: see `Value`.

        Raises:
            Unusable: the user or the database is there and empty, or the latter is a connection string of its own.
        """
        if self.found.get("user") == "":
            raise NotUnderstood("the value's user is empty: write it, or take it out")
        # libpq reads such a database's name as a connection string of its own, where it is handed over by itself.
        if dbname is not None and ("=" in dbname or "://" in dbname):
            raise NotUnderstood("the value's database has a = or :// in its name, which drivers may follow elsewhere")
        for part in (*self.found.values(), *self.options.values()):
            if "\0" in part:
                raise NotUnderstood("the value holds a NUL character")
        password, user = self.places.get("password"), self.places.get("user")
        return Value(
            name,
            SecretValue(text),
            SecretValue(self.found.get("password", "")),
            user=self.found.get("user"),
            hosts=hosts,
            dbname=dbname or None,
            options=self.options,
            password_places=(password,) if password else (),
            user_places=(user,) if user else (),
            user_is_database=user_is_database,
        )
