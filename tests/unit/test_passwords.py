"""New passwords keep the policy's rules."""

import itertools
import math
import random
import string
from collections import Counter

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from rotation.errors import Misconfigured
from rotation.model import PasswordRules
from rotation.passwords import ALPHABETS, CLASSES, FLOOR_BITS, LONGEST, SHORTEST, check, entropy_bits, generate

SYMBOLS = set(string.punctuation)


def sound(rules: PasswordRules) -> bool:
    try:
        check(rules)
    except Misconfigured:
        return False
    return True


@given(st.sampled_from(sorted(ALPHABETS)), st.integers(SHORTEST, LONGEST), st.integers())
def test_a_password_has_its_length_and_alphabet_and_every_class_the_alphabet_has(
    alphabet: str, length: int, seed: int
) -> None:
    text = generate(PasswordRules(length, alphabet), random.Random(seed)).reveal()
    assert len(text) == length
    assert set(text) <= set(ALPHABETS[alphabet])
    assert not text.startswith("-")
    assert any(c.isdigit() for c in text)
    assert alphabet == "hex" or (any(c.isupper() for c in text) and any(c.islower() for c in text))


@given(
    st.sampled_from(sorted(ALPHABETS)),
    st.integers(SHORTEST, 60),
    st.sets(st.sampled_from(sorted(string.printable[:94])), max_size=40),
    st.lists(st.sampled_from(sorted(CLASSES)), max_size=4, unique=True),
    st.integers(),
)
def test_a_password_has_nothing_that_is_excluded_and_everything_that_is_required(
    alphabet: str, length: int, excluded: set[str], required: list[str], seed: int
) -> None:
    rules = PasswordRules(length, alphabet, "".join(sorted(excluded)), tuple(required))
    assume(sound(rules))
    text = generate(rules, random.Random(seed)).reveal()
    assert len(text) == length
    assert set(text) <= set(ALPHABETS[alphabet]) - excluded
    assert not text.startswith("-")
    has = {
        "upper": any(c.isupper() for c in text),
        "lower": any(c.islower() for c in text),
        "digit": any(c.isdigit() for c in text),
        "symbol": bool(SYMBOLS & set(text)),
    }
    assert all(has[one] for one in required)


@pytest.mark.parametrize("alphabet", ["url-safe", "printable"])
def test_each_of_many_passwords_has_a_symbol_where_the_rule_requires_one(alphabet: str) -> None:
    rules = PasswordRules(20, alphabet, require=("upper", "lower", "digit", "symbol"))
    source = random.Random(5)
    made = [generate(rules, source).reveal() for _ in range(300)]
    assert all(SYMBOLS & set(text) for text in made)
    without = [generate(PasswordRules(20, alphabet), source).reveal() for _ in range(300)]
    assert not all(SYMBOLS & set(text) for text in without), "else this says nothing"


def test_all_passwords_that_keep_the_rule_are_equally_likely(monkeypatch: pytest.MonkeyPatch) -> None:
    """Over so small an alphabet that all of them can be listed."""
    monkeypatch.setattr("rotation.passwords.check", lambda _rules: None)
    monkeypatch.setitem(ALPHABETS, "tiny", "aB3-")
    rules = PasswordRules(4, "tiny", require=("upper", "symbol"))
    possible = {
        text
        for text in map("".join, itertools.product("aB3-", repeat=4))
        if "B" in text and "-" in text and not text.startswith("-")
    }
    source, rounds = random.Random(11), 200
    count = Counter(generate(rules, source).reveal() for _ in range(rounds * len(possible)))
    assert set(count) == possible
    # Chi-squared of so many degrees of freedom is within six deviations of their number.
    chi = sum((n - rounds) ** 2 / rounds for n in count.values())
    degrees = len(possible) - 1
    assert abs(chi - degrees) < 6 * math.sqrt(2 * degrees)
    assert entropy_bits(rules) == pytest.approx(math.log2(len(possible)))


def test_two_passwords_differ() -> None:
    source = random.SystemRandom()
    assert generate(PasswordRules(), source) != generate(PasswordRules(), source)


@pytest.mark.parametrize(
    ("rules", "field"),
    [
        (PasswordRules(15), "password.length"),
        (PasswordRules(257), "password.length"),
        (PasswordRules(40, "emoji"), "password.alphabet"),
        (PasswordRules(40, require=("vowel",)), "password.require"),
        (PasswordRules(40, require=("upper", "upper")), "password.require"),
        (PasswordRules(40, "hex", require=("upper",)), "password.require"),
        (PasswordRules(40, "alphanumeric", require=("symbol",)), "password.require"),
        (PasswordRules(40, exclude="-_", require=("symbol",)), "password.require"),
        (PasswordRules(16, "hex", exclude="0"), "password.exclude"),
        (PasswordRules(40, exclude="".join(ALPHABETS["url-safe"])), "password.exclude"),
        (PasswordRules(40, exclude="".join(ALPHABETS["url-safe"][1:])), "password.exclude"),
        (PasswordRules(16, "hex", exclude="abcdef", require=("digit",)), "password.exclude"),
        # Everything but the sign that none begins with.
        (
            PasswordRules(40, exclude=string.ascii_letters + string.digits + "_", require=("symbol",)),
            "password.exclude",
        ),
    ],
)
def test_rules_that_cannot_be_kept_name_their_field_and_show_a_way_out(rules: PasswordRules, field: str) -> None:
    with pytest.raises(Misconfigured, match=r"password\.") as raised:
        check(rules)
    assert raised.value.field == field
    assert "\n" not in raised.value.message
    with pytest.raises(Misconfigured):
        generate(rules, random.Random(1))


def test_nothing_that_is_excluded_lowers_the_floor_and_a_longer_password_makes_up_for_it() -> None:
    assert not sound(PasswordRules(16, "hex", exclude="0123"))
    assert sound(PasswordRules(19, "hex", exclude="0123"))
    assert entropy_bits(PasswordRules(19, "hex", exclude="0123")) > FLOOR_BITS


@given(st.sampled_from(sorted(ALPHABETS)), st.integers(SHORTEST, LONGEST))
def test_every_rule_without_the_two_keeps_the_floor(alphabet: str, length: int) -> None:
    assert sound(PasswordRules(length, alphabet))
    assert entropy_bits(PasswordRules(length, alphabet)) >= FLOOR_BITS


def test_the_default_has_more_than_128_bits_and_the_floor_is_the_shortest_of_the_smallest_alphabet() -> None:
    assert 239 < entropy_bits(PasswordRules()) < 240
    assert 63.9 < FLOOR_BITS < 64
    assert pytest.approx(entropy_bits(PasswordRules(SHORTEST, "hex"))) == FLOOR_BITS


def test_what_is_drawn_for_a_rule_without_the_two_is_what_was_drawn_before() -> None:
    """Of a seed: so each story of the simulation stays the same."""
    assert generate(PasswordRules(20), random.Random(7)).reveal() == "PtYgjmUhBel31iEl2hpC"
