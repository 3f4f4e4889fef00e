"""What a secret says of a user: who it is, where it logs in, and in which of its two places its password is.

A server keeps a user's passwords as a set of SHA-256 hashes, without names. So the place of a password is read from its
hash: the first bit says "a" or "b". Whoever has the value knows it without asking, the server shows it, and it says
next to nothing about a weak password, as more of the hash would: slots are shown in tags, logs and histories.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from rotation.errors import Unusable
from rotation.formats import Value, read_of
from rotation.model import Job, RequestedAccess, Secret, SecretValue, Spec
from rotation.rotators.databases.database import Endpoint
from rotation.rotators.databases.servers import target_endpoint, written_endpoint

PORT = 6379
MOST_SERVERS = 16
_DEFAULT_USER = "default"
_FIRST_HALF = "01234567"


@dataclass(frozen=True, slots=True)
class User:
    """A user of some servers, as a value has it.

    consumers: where the value leads. changes: where its passwords are changed; by_tag: the tag `target` says so.
    """

    name: str
    form: Value
    consumers: tuple[Endpoint, ...]
    changes: tuple[Endpoint, ...]
    by_tag: bool

    @property
    def slot(self) -> str:
        """The place that the value's password has."""
        return slot_of(self.name, hash_of(self.form.password))

    @property
    def slots(self) -> tuple[str, str]:
        """Both places."""
        return f"{self.name}:a", f"{self.name}:b"

    @property
    def targets(self) -> tuple[str, ...]:
        """As a policy permits them."""
        return tuple(dict.fromkeys(str(one) for one in (*self.changes, *self.consumers)))

    @property
    def realm(self) -> str:
        """No word of a server's own outlasts its restart or a failover, so it is the first address in their order."""
        return f"redis:{min(map(str, self.changes))}"

    @property
    def at(self) -> str:
        """Where a change would be made, by the address that the realm has."""
        return min(map(str, self.changes))


def hash_of(password: SecretValue) -> str:
    """As servers keep it: SHA-256, 64 hexadecimal digits ("ACL SETUSER")."""
    return hashlib.sha256(password.reveal().encode()).hexdigest()


def slot_of(user: str, hashed: str) -> str:
    """The place of a password, by its hash."""
    return f"{user}:{'a' if hashed[0] in _FIRST_HALF else 'b'}"


def read_user(value: SecretValue, spec: Spec) -> User:
    """What a value and the tags say.

    Raises:
        Unusable: of which tag, or the value.
    """
    form = read_of("Redis", value, spec.format)
    # A URL or a list without a user is read as `default`'s by every client: no tag changes that.
    says_itself = form.name in {"redis", "stackexchange-redis"}
    name = form.user or (spec.slots[0] if len(spec.slots) == 1 and not says_itself else None)
    if name is None or name == _DEFAULT_USER:
        raise Unusable(
            "the value is one of the user `default`, which every login without a user is: make a user for this "
            "application (ACL SETUSER), and name it in the value, or in the tag slots where the value has no place "
            "for it",
            field="value" if form.user or says_itself else "slots",
        )
    if " " in name or not name.isprintable():
        raise Unusable("the value's user has a blank in its name, which no server takes", field="value")
    consumers = tuple(written_endpoint(host.name, host.port, "value", PORT) for host in form.hosts)
    changes = _by_tag(spec.target) if spec.target is not None else consumers
    if not changes:
        raise Unusable("the value names no host: set the tag target to HOST, or HOST:PORT,HOST:PORT", field="target")
    return User(name, form, consumers, changes, by_tag=spec.target is not None)


def access_of(spec: Spec, secret: Secret) -> RequestedAccess:
    """See `rotation.ports.Rotator.requested_access`."""
    user = read_user(secret.value, spec)
    confidential = (user.form.password,)
    return RequestedAccess(user.targets, user.slots, user.slot, user.form.name, confidential, listed=(user.name,))


def same_user(job: Job, value: SecretValue) -> User | None:
    """One of the secret's values; None where it can't be read, is another user's, or leads where it was not asked."""
    try:
        user = read_user(value, job.spec)
    except Unusable:
        return None
    return user if user.slots == job.access.slots and set(user.targets) <= set(job.access.targets) else None


def _by_tag(target: str) -> tuple[Endpoint, ...]:
    written = [one.strip() for one in target.split(",")]
    if len(written) > MOST_SERVERS:
        raise Unusable(f"the tag target names more than {MOST_SERVERS} servers", field="target")
    return tuple(dict.fromkeys(target_endpoint(one, PORT) for one in written))
