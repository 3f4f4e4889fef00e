"""New passwords, by the policy's rules."""

from __future__ import annotations

import math
import random as randomness
import string

from rotation.errors import Misconfigured
from rotation.terms import PasswordRules, SecretValue

ALPHABETS = {
    "url-safe": string.ascii_letters + string.digits + "-_",
    "alphanumeric": string.ascii_letters + string.digits,
    "hex": "0123456789abcdef",
    # What needs escaping in shells, URLs and connection strings is left out.
    "printable": string.ascii_letters + string.digits + "!#*+-.,:^_~",
}
SHORTEST, LONGEST = 16, 256
_CLASSES = (string.ascii_uppercase, string.ascii_lowercase, string.digits)


def check(rules: PasswordRules) -> None:
    """Raise Misconfigured for a length or an alphabet that there is none of."""
    if not SHORTEST <= rules.length <= LONGEST:
        raise Misconfigured(f"password.length is between {SHORTEST} and {LONGEST}", field="password.length")
    if rules.alphabet not in ALPHABETS:
        raise Misconfigured(f"password.alphabet is one of {', '.join(ALPHABETS)}", field="password.alphabet")


def entropy_bits(rules: PasswordRules) -> float:
    """Bits of randomness, before the few passwords that are drawn again are taken off."""
    return rules.length * math.log2(len(ALPHABETS[rules.alphabet]))


def generate(rules: PasswordRules, random: randomness.Random) -> SecretValue:
    """A password that has every class of characters its alphabet has, and does not begin like a command's option.

    One that lacks a class is thrown away whole and drawn again, so that all acceptable ones are equally likely.

    Raises:
        Misconfigured: see `check`.
    """
    check(rules)
    alphabet = ALPHABETS[rules.alphabet]
    wanted = [frozenset(kind) & frozenset(alphabet) for kind in _CLASSES]
    while True:
        text = "".join(random.choice(alphabet) for _ in range(rules.length))
        if not text.startswith("-") and all(not kind or kind & frozenset(text) for kind in wanted):
            return SecretValue(text)
