"""New passwords, by the policy's rules."""

from __future__ import annotations

import math
import random as randomness
import string
from collections.abc import Collection
from itertools import chain, combinations

from rotation.errors import Misconfigured
from rotation.terms import PasswordRules, SecretValue

ALPHABETS = {
    "url-safe": string.ascii_letters + string.digits + "-_",
    "alphanumeric": string.ascii_letters + string.digits,
    "hex": "0123456789abcdef",
    # What needs escaping in shells, URLs and connection strings is left out.
    "printable": string.ascii_letters + string.digits + "!#*+-.,:^_~",
}
CLASSES = {
    "upper": frozenset(string.ascii_uppercase),
    "lower": frozenset(string.ascii_lowercase),
    "digit": frozenset(string.digits),
    "symbol": frozenset(string.punctuation),
}
USUAL = ("upper", "lower", "digit")  # required as far as the alphabet has them, where a rule does not say
SHORTEST, LONGEST = 16, 256


def check(rules: PasswordRules) -> None:
    """Look whether there are passwords by these rules, and enough of them.

    Raises:
        Misconfigured: names the field, as `password.exclude`, and says what to write.
    """
    if not SHORTEST <= rules.length <= LONGEST:
        raise Misconfigured(f"password.length is between {SHORTEST} and {LONGEST}", field="password.length")
    if rules.alphabet not in ALPHABETS:
        raise Misconfigured(f"password.alphabet is one of {', '.join(ALPHABETS)}", field="password.alphabet")
    if not set(rules.require) <= set(CLASSES) or len(set(rules.require)) != len(rules.require):
        raise Misconfigured(f"password.require names some of {', '.join(CLASSES)}, each once", field="password.require")
    for name in rules.require:
        if not CLASSES[name] & frozenset(_alphabet(rules)):
            raise Misconfigured(
                f"password.require has {name}, and no {name} is left in the alphabet {rules.alphabet}: take another "
                "alphabet, or exclude fewer characters",
                field="password.require",
            )
    if entropy_bits(rules) < FLOOR_BITS:
        raise Misconfigured(
            f"password.exclude leaves {math.floor(entropy_bits(rules))} bits of randomness, fewer than {SHORTEST} hex "
            "digits have, the least that a password may: exclude fewer characters, or set a greater password.length",
            field="password.exclude",
        )


def entropy_bits(rules: PasswordRules) -> float:
    """Bits of randomness: the logarithm of how many passwords keep the rules, as all are equally likely."""
    alphabet = frozenset(_alphabet(rules))
    wanted = [CLASSES[name] for name in _required(rules, alphabet)]
    missing = chain.from_iterable(combinations(wanted, size) for size in range(len(wanted) + 1))
    # Those that lack a class are taken off; what was taken off twice is added again, and so on.
    count = sum((-1) ** len(those) * _words(alphabet.difference(*those), rules.length) for those in missing)
    return math.log2(count) if count > 0 else 0.0


def _words(alphabet: Collection[str], length: int) -> int:
    """How many texts there are of that length which do not begin with "-"."""
    size = len(alphabet)
    return (size - ("-" in alphabet)) * int(size ** (length - 1))


def _alphabet(rules: PasswordRules) -> str:
    return "".join(one for one in ALPHABETS[rules.alphabet] if one not in rules.exclude)


def _required(rules: PasswordRules, alphabet: Collection[str]) -> tuple[str, ...]:
    return rules.require or tuple(name for name in USUAL if not CLASSES[name].isdisjoint(alphabet))


# 16 hex digits: the shortest password of the smallest alphabet. No rule may ask for less, however long it is.
FLOOR_BITS = entropy_bits(PasswordRules(SHORTEST, "hex"))


def generate(rules: PasswordRules, random: randomness.Random) -> SecretValue:
    """A password by the rules that does not begin like a command's option.

    Where the rules require no classes, it has upper and lower case and digits, as far as its alphabet has them. One
    that lacks a class is thrown away whole and drawn again, so that all acceptable ones are equally likely.

    Raises:
        Misconfigured: see `check`.
    """
    check(rules)
    alphabet = _alphabet(rules)
    wanted = [CLASSES[name] for name in _required(rules, alphabet)]
    while True:
        text = "".join(random.choice(alphabet) for _ in range(rules.length))
        if not text.startswith("-") and all(kind & frozenset(text) for kind in wanted):
            return SecretValue(text)
