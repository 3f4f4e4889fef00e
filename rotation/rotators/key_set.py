"""A JSON Web Key Set (RFC 7517) of signing keys with their private halves, and the set that comes after it.

The first key signs. The second is the next one: verifiers know it for a whole rotation before it signs. The third
is the previous one, kept for tokens that it signed. RFC 7517, section 5.1, leaves the order to applications, and what
signs with a set mostly takes its first key. The member `keyturn` says the same by `kid`, so that a set in whose order a
person made a mistake is refused and not signed with: {"signs": KID, "next": KID, "previous": KID}.

Other members of a set must be ignored by those who don't know them (the same section).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random

from rotation.errors import Unusable
from rotation.rotators.signing_keys import ALGORITHMS, PRIVATE, Jwk, algorithm_of, is_sound, new_key

OURS = "keyturn"
SIGNS, NEXT, PREVIOUS = ROLES = ("signs", "next", "previous")
LONGEST_KID = 256
_DESCRIBING = {"kty", "kid", "alg", "use"}
_BASE64URL = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class KeySet:
    """keys: by role, as they are written in the value; `signs` is always there."""

    keys: Mapping[str, Jwk] = field(repr=False)

    @property
    def algorithm(self) -> str:
        """That of the key that signs."""
        return algorithm_of(self.keys[SIGNS]) or ""

    def private_texts(self) -> list[str]:
        """What of the keys nobody else may see."""
        return [text for key in self.keys.values() for name, text in key.items() if name in PRIVATE]

    def check_whole(self) -> None:
        """Look whether each key's numbers belong together: private and public half, and nothing cut off.

        Raises:
            Unusable: field "value".
        """
        for role, key in self.keys.items():
            if not is_sound(key):
                raise _unusable(f"the numbers of its key {role!r} do not fit one another")

    def following(self, algorithm: str, random: Random) -> KeySet:
        """The next key signs, the one that signed is kept, and a new next key of the algorithm is published.

        A set without a next key gets one, and goes on signing with the key that verifiers know.
        """
        kept = dict(self.keys)
        if NEXT in kept:
            kept = {SIGNS: kept[NEXT], PREVIOUS: kept[SIGNS]}
        return KeySet({**kept, NEXT: new_key(algorithm, random)})

    def text(self) -> str:
        """The value, as `read` reads it."""
        roles = [role for role in ROLES if role in self.keys]
        named = {role: self.keys[role]["kid"] for role in roles}
        return json.dumps({"keys": [self.keys[role] for role in roles], OURS: named})


def read(text: str) -> KeySet:
    """The set in a value. What is not understood is refused: in the next version it would be lost, or sign by mistake.

    Raises:
        Unusable: field "value". The message shows nothing of the value.
    """
    whole = _json(text)
    if not isinstance(whole, dict) or not isinstance(whole.get("keys"), list) or not whole["keys"]:
        raise _unusable('it is no JSON object with its keys in the list "keys"')
    if not set(whole) <= {"keys", OURS}:
        raise _unusable(f"it has members beside keys and {OURS}")
    keys = whole["keys"]
    for number, key in enumerate(keys, 1):
        _check_key(number, key)
    kids = [key["kid"] for key in keys]
    if len(set(kids)) != len(kids):
        raise _unusable("two of its keys have one kid")
    roles = _roles(whole.get(OURS), kids) if OURS in whole or len(kids) > 1 else [SIGNS]
    return KeySet(dict(zip(roles, keys, strict=True)))


def _roles(named: object, kids: list[str]) -> list[str]:
    """Each key's role, in the order of the keys."""
    roles = [role for role in ROLES if isinstance(named, dict) and role in named]
    if not isinstance(named, dict) or len(named) != len(roles) or [named[role] for role in roles] != kids:
        raise _unusable(
            "nothing says for certain which of its keys signs: put that first, then the next, then the previous one, "
            f'and name each by its kid in the member {OURS}: {{"signs": KID, "next": KID, "previous": KID}}'
        )
    if SIGNS not in roles:
        raise _unusable(f"its member {OURS} does not say which key signs")
    return roles


def _check_key(number: int, key: object) -> None:
    if not isinstance(key, dict) or not all(isinstance(text, str) for text in key.values()):
        raise _unusable(f"its key {number} is no object of texts")
    algorithm = algorithm_of(key)
    if algorithm is None:
        raise _unusable(f"its key {number} has no kty, crv and alg that go with one of {', '.join(ALGORITHMS)}")
    if not 0 < len(key.get("kid", "").strip()) <= LONGEST_KID:
        raise _unusable(f"its key {number} has no kid by which verifiers could find it")
    if key.get("use", "sig") != "sig":
        raise _unusable(f"its key {number} is for another use than sig")
    members = ALGORITHMS[algorithm].members
    if not members <= set(key) <= members | _DESCRIBING:
        raise _unusable(
            f"its key {number} must have {', '.join(sorted(members))} and kty, kid, alg and use, and nothing else"
        )
    if not all(_BASE64URL.fullmatch(key[name]) for name in members - {"crv"}):
        raise _unusable(f"its key {number} has a member that is no base64url")


def _json(text: str) -> object:
    try:
        return json.loads(text, object_pairs_hook=_unique)
    except (ValueError, RecursionError):
        return None


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """An object; of a name that is there twice readers take one or the other."""
    if len({name for name, _ in pairs}) != len(pairs):
        raise ValueError
    return dict(pairs)


def _unusable(why: str) -> Unusable:
    return Unusable(f"the value is no set of signing keys that can be rotated: {why}", field="value")
