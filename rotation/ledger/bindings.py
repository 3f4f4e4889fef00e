"""Which secret owns a credential. An append-only history for each, whose last record's owner alone may change it.

The key is the credential, not its spelling: where the provider says who it is (a realm), a role is the same one under
every name of its server. No vault's name begins with "_", so that no secret's history is among these.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from rotation.errors import Refused
from rotation.model import SecretRef

FOLDER = "_bindings"


def vault_folder(vault: str) -> str:
    """Where the histories of a vault's secrets are.

    Raises:
        Refused: the name is none of a vault, and might be that of the bindings' folder.
    """
    if vault.startswith("_"):
        raise Refused(
            "no vault's name begins with an underscore: the ledger keeps such names for itself", field="ROTATION_VAULTS"
        )
    return vault.lower()


def credential_key(realm: str, slot: str) -> str:
    """The name of a credential's history: no host and no role can be read in it."""
    return hashlib.sha256(f"{realm}\n{slot}".encode()).hexdigest()[:40]


@dataclass(frozen=True, slots=True)
class Binding:
    """One change of owner. at: aware UTC. how: "proof", "takeover", "reset" or "made" (the provider assigned it to us).

    realm, slot, targets: what is owned, for a reader of the ledger. targets are the names that it went by.
    """

    at: datetime
    owner: SecretRef
    realm: str
    slot: str
    targets: tuple[str, ...]
    how: str
    actor: str

    def to_line(self) -> str:
        """One line of JSON with its line feed."""
        shown = {
            "at": self.at.isoformat(),
            "vault": self.owner.vault,
            "secret": self.owner.name,
            "realm": self.realm,
            "slot": self.slot,
            "targets": list(self.targets),
            "how": self.how,
            "actor": self.actor,
        }
        line = json.dumps(shown, ensure_ascii=False, separators=(",", ":")) + "\n"
        return line.encode(errors="backslashreplace").decode()

    @classmethod
    def from_line(cls, line: str) -> Binding:
        """The binding of a line; fields that are not known are passed over.

        Raises:
            ValueError, KeyError, TypeError: it is none.
        """
        raw = json.loads(line)
        return cls(
            at=datetime.fromisoformat(raw["at"]),
            owner=SecretRef(raw["vault"], raw["secret"]),
            realm=raw["realm"],
            slot=raw["slot"],
            targets=tuple(raw["targets"]),
            how=raw["how"],
            actor=raw["actor"],
        )


@dataclass(frozen=True, slots=True)
class Bindings:
    """A credential's history, oldest first. position: where the next one is to be appended, as the ledger counts."""

    records: Sequence[Binding]
    position: int

    @property
    def owner(self) -> SecretRef | None:
        """The last record's; None: nobody owned it yet."""
        return self.records[-1].owner if self.records else None


def parse_bindings(data: bytes) -> tuple[Binding, ...]:
    """All bindings of a history, oldest first. A torn line (a crash while writing) was never answered: it is none.

    Raises:
        Refused: a line is whole, and no binding. Then nobody can tell who owns the credential, so nobody does.
    """
    return tuple(_whole(data.split(b"\n")[:-1]))


def _whole(lines: Sequence[bytes]) -> Iterator[Binding]:
    for line in lines:
        try:
            yield Binding.from_line(line.decode(errors="replace"))
        except json.JSONDecodeError:
            continue  # no beginning of an object is JSON, but for the whole of it
        except (ValueError, KeyError, TypeError):
            raise Refused(
                "nobody can say who owns the credential: its history in the ledger's folder _bindings holds a "
                "line that this package can't read; deploy the package that wrote it, or restore the history"
            ) from None


def folded(ref: SecretRef) -> SecretRef:
    """Key Vault's names are case-insensitive."""
    return SecretRef(ref.vault.lower(), ref.name.lower())


def owned_by(ref: SecretRef, bound: Mapping[str, Bindings]) -> frozenset[str]:
    """The slots that are bound to this secret."""
    owner = folded(ref)
    return frozenset(slot for slot, bindings in bound.items() if bindings.owner == owner)
