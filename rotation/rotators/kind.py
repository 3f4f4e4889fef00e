"""What is to be known of a kind of rotator without importing it."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from rotation.frozen import Frozen

if TYPE_CHECKING:
    from rotation.ports import Rotator, RotatorDependencies

HOST, APPLICATION = "host", "application"  # kinds of targets; all others are types of Azure resources


class Kind(Frozen):
    """All that is to be known of a kind of rotator without importing it. A list of kinds is made from this.

    build: how it is made; the only place that imports it.
    changes, holders: README's words for what it changes, and for what becomes of those who hold the old value.
    proves, ends, rights, tested: likewise docs/rotators.md's, for what `verify` shows, what `retire` does, what the app
        must be given, and what tests have at the other end.
    tags: what the tag `slots` may name; empty where it names roles, or nothing.
    targets: what a rule's `targets` may be for it: `HOST`, `APPLICATION`, or a type of Azure resource in lower case,
        such as "microsoft.storage/storageaccounts". A rule must list some; only what is made here has none.
    needs_slots: a rule must list the slots, since a secret's tags could name any (a database's superuser, say).
    takes_turns: a secret names two of the slots, so a rule that lists more must say which two (`pairs`).
    logs_in: it sets passwords at a server, so that a rule's `admin`, `password` and `tls` mean something.
    ports: those that a target without one permits; the first is what a value or a tag without one means.
    row: it is a row of the table of Azure resources with two keys, which README has in one line.
    """

    build: "Callable[[RotatorDependencies], Rotator]"
    changes: str
    holders: str
    targets: tuple[str, ...]
    needs_slots: bool
    takes_turns: bool = False
    logs_in: bool = False
    ports: tuple[int, ...] = ()
    proves: str = ""
    ends: str = ""
    rights: str = ""
    tested: str = ""
    tags: tuple[str, ...] = ()
    row: bool = False
