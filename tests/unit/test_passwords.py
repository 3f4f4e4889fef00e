"""New passwords keep the policy's rules."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rotation.errors import Misconfigured
from rotation.model import PasswordRules
from rotation.passwords import ALPHABETS, LONGEST, SHORTEST, check, entropy_bits, generate


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


def test_two_passwords_differ() -> None:
    source = random.SystemRandom()
    assert generate(PasswordRules(), source) != generate(PasswordRules(), source)


@pytest.mark.parametrize("rules", [PasswordRules(15), PasswordRules(257), PasswordRules(40, "emoji")])
def test_rules_that_cannot_be_kept_name_their_field(rules: PasswordRules) -> None:
    with pytest.raises(Misconfigured, match=r"password\."):
        check(rules)


def test_the_default_has_more_than_128_bits() -> None:
    assert entropy_bits(PasswordRules()) == 240
