"""The settings that are limits: what may be left out, and what is told where one can't be used."""

from pathlib import Path

import pytest

from app.settings import Settings, from_environment
from rotation.errors import Misconfigured

LEAST = {
    "ROTATION_VAULTS": "https://kv-orders.vault.azure.net",
    "ROTATION_LEDGER": "file:ledger",
    "ROTATION_HTTP_AUTH": "key",
}


def settings(**changes: str) -> Settings:
    return from_environment(LEAST | changes, Path("/app"))


def test_limits_that_are_left_out_are_safe_ones() -> None:
    assert settings().server_connections == 8
    assert settings().vault_creations == 290


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "many", "8 (at most)", "1001", "٣", "1" * 5000])
def test_a_limit_that_is_no_number_in_its_range_is_told_by_its_name(text: str) -> None:
    with pytest.raises(Misconfigured, match="ROTATION_SERVER_CONNECTIONS is a whole number, 1 to 1000") as told:
        settings(ROTATION_SERVER_CONNECTIONS=text)
    assert told.value.field == "ROTATION_SERVER_CONNECTIONS"


def test_a_limit_is_taken_as_it_is_told() -> None:
    assert settings(ROTATION_SERVER_CONNECTIONS="3").server_connections == 3


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [("ROTATION_SERVER_CONNECTIONS", 1, 1_000), ("ROTATION_VAULT_CREATIONS", 10, 100_000)],
)
def test_a_limit_may_be_the_least_and_the_most_and_nothing_beyond(name: str, least: int, most: int) -> None:
    for number in (least, most):
        taken = settings(**{name: str(number)})
        assert number in {taken.server_connections, taken.vault_creations}
    for number in (least - 1, most + 1):
        with pytest.raises(Misconfigured, match=f"{name} is a whole number, {least} to {most}"):
            settings(**{name: str(number)})
