"""What every format gives: the parts of a value, and the places where its login is written."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from rotation.errors import Unusable
from rotation.formats.copies import check_no_copy
from rotation.model import SecretValue

MAINTENANCE_DATABASE = "postgres"  # every cluster has it, and every role may connect to it unless that was taken away

_HALF = re.compile(r"[\ud800-\udfff]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
# Blanks that are not ASCII, and what can't be seen: some drivers cut them off, some part keywords by them.
_BLANK = re.compile(r"[\x1c-\x1f\x85\xa0\u1680\u180e\u2000-\u200f\u2028-\u202f\u205f-\u2064\u3000\ufeff]")


class NotUnderstood(Unusable):
    """What is in the value can't be understood as every driver would, so that it is left alone."""

    def __init__(self, message: str, *, field: str | None = "value", retry_after_s: int | None = None) -> None:
        super().__init__(message, field=field, retry_after_s=retry_after_s)


@dataclass(frozen=True, slots=True)
class Host:
    """A server's name or address (IPv6 without brackets), and its port if given."""

    name: str
    port: int | None


@dataclass(frozen=True, slots=True)
class Span:
    """Where in the text something is written, and how another text is written there."""

    start: int
    end: int
    write: Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Nested:
    """A value inside the value: the place where all of it is written, and what it reads as by itself."""

    place: Span
    value: Value


@dataclass(frozen=True, slots=True)
class Value:
    """A secret's value, read. `name` is its form's, as the tag `format` has it.

    `options` has all else that is written in it, keys in lower case. `user_is_database`: its reader connects to
    the database of the user's name where it names none. `product`: whose login it says that it is, where its form
    alone does not (see `products_of`).

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
    password_places: tuple[Span, ...] = ()
    user_places: tuple[Span, ...] = ()
    nested: tuple[Nested, ...] = ()
    user_is_database: bool = False
    product: str | None = None
    reader: Callable[[str], Value] | None = field(default=None, repr=False, compare=False)

    def login_dbname(self, user: str, otherwise: str = MAINTENANCE_DATABASE) -> str:
        """The database that a consumer of this value connects to as `user`. otherwise: of one who names none.

        libpq, Npgsql, pgJDBC and psqlODBC take the user's name; readers of a JSON object (Amazon's and Azure's
        conventions alike) take `otherwise`, and so does a reader of a bare password.
        """
        return self.dbname or (user if self.user_is_database else otherwise)

    def with_login(self, password: SecretValue, user: str | None = None) -> SecretValue:
        """The same value with another password, and another user if one is given.

        Raises:
            Unusable: a user is given and the value has no place for one; the old login is in a part of the value
                that is not understood; or what was written would not be read as nothing but the new login.
        """
        renamed = user is not None and user != self.user
        if renamed and not self.user_places and not any(one.value.user_places for one in self.nested):
            raise NotUnderstood("the value names no user, so consumers could not learn of another")
        for options in (self.options, *(one.value.options for one in self.nested)):
            check_no_copy(options, self.password.reveal(), self.user, renamed=renamed)
        changed = self._written(password, user if renamed else None)
        self._check_reads_back(changed, password, user if renamed else self.user)
        return SecretValue(changed)

    def _written(self, password: SecretValue, user: str | None) -> str:
        edits = [(place, place.write(password.reveal())) for place in self.password_places]
        if user is not None:
            edits += [(place, place.write(user)) for place in self.user_places]
        for one in self.nested:
            named = user if one.value.user is not None else None
            inner = one.value.with_login(password, named) if _logs_in(one.value) else one.value.text
            edits.append((one.place, one.place.write(inner.reveal())))
        text, parts, position = self.text.reveal(), [], 0
        for place, new in sorted(edits, key=lambda edit: edit[0].start):
            parts += [text[position : place.start], new]
            position = place.end
        return "".join([*parts, text[position:]])

    def _check_reads_back(self, changed: str, password: SecretValue, user: str | None) -> None:
        if self.reader is None:
            return
        try:
            again = self.reader(changed)
        except Unusable:
            again = None
        if again is None or again.password != password or (again.user, *again.others()) != (user, *self.others()):
            if self.name == "plain":
                raise NotUnderstood("the new password would not be read as one by itself: set the tag format to plain")
            raise NotUnderstood(
                "the new login, written into the value, would not be read as it is: "
                "choose another password.alphabet in the policy"
            )

    def others(self) -> tuple[object, ...]:
        """All that a change of the login must leave as it is."""
        return (self.name, self.hosts, self.dbname, self.options)


def _logs_in(value: Value) -> bool:
    return bool(value.password_places or value.user_places)


def check_characters(text: str) -> None:
    r"""Python's texts, and JSON's "\ud800", may hold the half of a character; no file, driver or log takes one.

    Raises:
        Unusable: it does.
    """
    if _HALF.search(text):
        raise NotUnderstood("the value holds the half of a character (\\ud800 to \\udfff)")


def has_odd_blank(text: str) -> bool:
    """Whether a blank is in it that is not ASCII, or a character that can't be seen."""
    return _BLANK.search(text) is not None


def has_control(text: str) -> bool:
    """Whether a control character is in it, a tab or a line break included."""
    return _CONTROL.search(text) is not None
