"""The second wall: whatever a value is made of, no error that leaves the engine shows it."""

import pytest

from rotation.errors import Redactor, Unusable
from rotation.model import SecretValue

HALF = "pw\ud800 +/"  # what a vault's JSON may hold, and no encoder of Python's takes without being told


@pytest.mark.parametrize("shown", [HALF, "pw%ED%A0%80%20%2B%2F", "pw%ED%A0%80+%2B%2F", r"pw\ud800 +/", "cHftoIAgKy8="])
def test_a_value_with_half_a_character_is_hidden_too(shown: str) -> None:
    redactor = Redactor()
    redactor.add(SecretValue(HALF))
    assert redactor.clean(Unusable(f"what is {shown}?")).message == "what is [hidden]?"


def test_a_value_with_half_a_character_is_like_itself_alone() -> None:
    assert SecretValue(HALF) == SecretValue(HALF)
    assert SecretValue(HALF) != SecretValue("pw")
