"""Key Vault's events become one message each, in either of Event Grid's schemas, or are acknowledged and left alone."""

import logging
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from azure.functions import CloudEvent, EventGridEvent

from app.messages import from_text
from handlers.near_expiry import forward, message_of
from rotation.model import Reason, RotationRequest, SecretRef

NEAR, EXPIRED = "Microsoft.KeyVault.SecretNearExpiry", "Microsoft.KeyVault.SecretExpired"
DATA = {"VaultName": "kv", "ObjectType": "Secret", "ObjectName": "orders-db", "Version": "v1"}
ASKED = RotationRequest(SecretRef("kv", "orders-db"), "v1", Reason.NEAR_EXPIRY, "event-grid", early=True)


def asked(kind: object = NEAR, **fields: object) -> RotationRequest | None:
    text = message_of(kind, {**DATA, **fields}, {"kv"})
    return None if text is None else from_text(text)


def forwarded(event: object) -> RotationRequest | None:
    said: list[str] = []
    forward(event, {"kv"}, SimpleNamespace(set=said.append))
    assert len(said) < 2
    return from_text(said[0]) if said else None


def test_an_event_in_event_grids_own_schema_asks_for_its_secret() -> None:
    event: Any = EventGridEvent(
        id="1", data=DATA, topic="t", subject="orders-db", event_type=NEAR, event_time=datetime(2026, 1, 1, tzinfo=UTC),
        data_version="1",
    )  # fmt: skip
    assert forwarded(event) == ASKED


def test_an_event_in_the_schema_of_cloud_events_asks_for_its_secret() -> None:
    event: Any = CloudEvent(type=NEAR, source="kv", id="1", data=DATA, specversion="1.0")
    assert forwarded(event) == ASKED
    # A library's event whose data is a plain attribute, and which has no method for it.
    assert forwarded(SimpleNamespace(type=NEAR, data=DATA)) == ASKED


def test_what_ends_soon_may_be_early_and_what_has_ended_is_not() -> None:
    assert asked() == ASKED
    expired = asked(EXPIRED)
    assert expired is not None
    assert (expired.reason, expired.early, expired.version) == (Reason.EXPIRED, False, "v1")


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (f" {NEAR.upper()} ", DATA),
        (NEAR, {f" {name.upper()} ": f" {value} " for name, value in DATA.items()}),
        (NEAR, DATA | {"VaultName": "KV", "ObjectType": "SECRET", "NBF": None, "EXP": 1559082102}),
        (NEAR, {name: value for name, value in DATA.items() if name != "ObjectType"}),
    ],
)
def test_an_event_is_read_leniently(kind: str, data: dict[str, object]) -> None:
    text = message_of(kind, data, {"kv"})
    assert text is not None
    assert from_text(text) == ASKED


@pytest.mark.parametrize(
    ("level", "says", "kind", "fields"),
    [
        (logging.INFO, "another type", "Microsoft.KeyVault.SecretNewVersionCreated", {}),
        (logging.INFO, "a key or a certificate", NEAR, {"ObjectType": "Key"}),
        (logging.WARNING, "not among ROTATION_VAULTS", NEAR, {"VaultName": "elsewhere"}),
        (logging.WARNING, "not among ROTATION_VAULTS", NEAR, {"VaultName": None}),
        (logging.WARNING, "without ObjectName or Version", NEAR, {"ObjectName": ""}),
        (logging.WARNING, "without ObjectName or Version", NEAR, {"Version": " "}),
        (logging.WARNING, "that no secret can have", NEAR, {"ObjectName": "a/b"}),
    ],
)
def test_an_event_that_asks_for_nothing_here_is_one_line_in_the_log(
    level: int, says: str, kind: str, fields: dict[str, object], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        assert asked(kind, **fields) is None
    [line] = caplog.records
    assert line.levelno == level
    assert says in line.getMessage()
    assert getattr(line, "keyturn.event") == "ignored"


@pytest.mark.parametrize("data", [None, "text", 7, [DATA]])
def test_an_event_without_fields_asks_for_nothing(data: object, caplog: pytest.LogCaptureFixture) -> None:
    assert message_of(NEAR, data, {"kv"}) is None
    assert "not among ROTATION_VAULTS" in caplog.text
