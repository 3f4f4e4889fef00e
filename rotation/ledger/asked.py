"""What a secret asks for and was proven to own, as its history keeps it: what is asked for again needs no new proof.

The history gives no authority; it says which bindings to look at. See `rotation.engine.ownership`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from rotation.model import RequestedAccess

_APART = "@"  # between a provider's own word and the name that tells it from a copy of it


@dataclass(frozen=True, slots=True)
class Asked:
    """rotator, targets, slots, listed: see `model.RequestedAccess`. realm: of what was proven.

    form: in which the value was adopted.
    """

    rotator: str
    targets: tuple[str, ...]
    slots: tuple[str, ...]
    realm: str | None
    form: str | None
    listed: tuple[str, ...] = ()

    @classmethod
    def of(cls, rotator: str, access: RequestedAccess, realm: str | None) -> Asked:
        """What the requested access asks for."""
        return cls(rotator, access.targets, access.slots, realm, access.form, access.listed)

    @classmethod
    def from_record(cls, raw: Mapping[str, Any] | None) -> Asked | None:
        """As `to_record` wrote it; None where there is none, or a later package wrote it otherwise."""
        try:
            return None if raw is None else cls(
                str(raw["rotator"]), tuple(raw["targets"]), tuple(raw["slots"]), raw.get("realm"), raw.get("form"),
                tuple(raw.get("listed", ())),
            )  # fmt: skip
        except (KeyError, TypeError):
            return None

    def to_record(self) -> dict[str, Any]:
        """For a record; no value is in it."""
        fields = {"rotator": self.rotator, "targets": list(self.targets), "slots": list(self.slots)}
        named = {"realm": self.realm, "form": self.form}
        more = {"listed": list(self.listed)} if self.listed else {}
        return fields | more | {name: text for name, text in named.items() if text is not None}

    def is_asked_by(self, rotator: str, access: RequestedAccess) -> bool:
        """Whether just this is requested; the order of turn and the form make no difference."""
        theirs = (rotator, frozenset(access.targets), frozenset(access.slots))
        return theirs == (self.rotator, frozenset(self.targets), frozenset(self.slots))

    @property
    def provider(self) -> str | None:
        """The provider's own word."""
        return None if self.realm is None else self.realm.partition(_APART)[0]

    def apart(self, name: str) -> Asked:
        """The same at a provider that says to be another one, which its name tells from it."""
        return replace(self, realm=f"{self.provider}{_APART}{name}")
