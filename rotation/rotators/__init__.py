"""Which rotators there are. A new kind of credential is one file in this folder and one line in this map.

Each is imported when it is built: a cold start does not pay for the drivers and SDKs of kinds that it does not use.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from rotation.frozen import Frozen

if TYPE_CHECKING:
    from rotation.ports import Rotator, Services


class Kind(Frozen):
    """How one kind of rotator is built, and what a policy's rules must name before they may permit it.

    needs_slots: a rule must list the slots, since a secret's tags could name any (a database's superuser, say).
    needs_target: a rule must list the targets; only what is made here has none.
    takes_turns: a secret names two of the slots, so a rule that lists more must say which two (`pairs`).
    logs_in: it sets passwords at a server, so that a rule's `admin`, `password` and `tls` mean something.
    """

    build: "Callable[[Services], Rotator]"
    needs_slots: bool
    needs_target: bool
    takes_turns: bool = False
    logs_in: bool = False


def _postgres(services: "Services") -> "Rotator":
    from rotation.rotators.postgres import Postgres  # noqa: PLC0415  imported when used

    return Postgres(services)


def _postgres_alternating(services: "Services") -> "Rotator":
    from rotation.rotators.postgres_alternating import PostgresAlternating  # noqa: PLC0415  imported when used

    return PostgresAlternating(services)


def _storage_key(services: "Services") -> "Rotator":
    from rotation.rotators.storage_key import StorageKey  # noqa: PLC0415  imported when used

    return StorageKey(services)


def _entra_app_secret(services: "Services") -> "Rotator":
    from rotation.rotators.entra_app_secret import EntraAppSecret  # noqa: PLC0415  imported when used

    return EntraAppSecret(services)


def _generated(services: "Services") -> "Rotator":
    from rotation.rotators.generated import Generated  # noqa: PLC0415  imported when used

    return Generated(services)


ROTATORS: Mapping[str, Kind] = MappingProxyType(
    {
        "postgres": Kind(_postgres, needs_slots=True, needs_target=True, logs_in=True),
        "postgres-alternating": Kind(
            _postgres_alternating, needs_slots=True, needs_target=True, takes_turns=True, logs_in=True
        ),
        "storage-key": Kind(_storage_key, needs_slots=False, needs_target=True),
        "entra-app-secret": Kind(_entra_app_secret, needs_slots=False, needs_target=True),
        "generated": Kind(_generated, needs_slots=False, needs_target=False),
    }
)
