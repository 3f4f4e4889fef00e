"""A value that can't be printed, and a version that holds one."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NoReturn


class Held:
    """A secret text. Neither `repr`, `str`, a format nor a pickle shows it, so that no log and no traceback does."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself."""
        return self._text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Held) and hmac.compare_digest(
            self._text.encode("utf-8", "surrogatepass"), other._text.encode("utf-8", "surrogatepass")
        )

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        return "Held(***)"

    __str__ = __repr__

    def __format__(self, _spec: str) -> str:
        return repr(self)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret value is not pickled: read it where it is needed")


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a secret, as it was read. Times are the vault's; tags: see the service's docs."""

    id: str
    value: Held
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Listed:
    """One version of a secret, as the vault lists it, without its value. created_on: by the vault's clock."""

    id: str
    enabled: bool
    created_on: datetime
    tags: Mapping[str, str] = field(default_factory=dict)
