"""What comes in from Event Grid: each kind is answered rightly, and nothing changes where nothing should."""

import asyncio
import json
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.e2e.deployment import VAULT, Deployment, event_of, logs_in, steps

ACKNOWLEDGED = 202  # what the Functions host answers for an event that a function took


async def managed(app: Deployment, name: str) -> str:
    """A secret that an event rotates, although the vault raises none for it -> its version."""
    value = await app.role(f"{name}_app")
    version = await app.put(name, value, {"rotator": "postgres", "lead-days": "89", "validity-days": "178"})
    await app.put(f"{name}-unrelated", "left alone")
    return version


async def versions_after(app: Deployment, name: str) -> int:
    await app.idle()
    return len(await app.versions(name))


async def test_fifty_copies_at_once_are_one_rotation(app: Deployment) -> None:
    version = await managed(app, "fifty")
    event = event_of("fifty", version)
    began = time.monotonic()
    answers = await asyncio.gather(*(app.event([event]) for _ in range(50)))
    assert [answer.status for answer in answers] == [ACKNOWLEDGED] * 50
    assert time.monotonic() - began < 5, "Event Grid is kept waiting"
    assert await versions_after(app, "fifty") == 2
    assert await logs_in(await app.value("fifty"))
    assert steps(await app.read("fifty")).count("applying") == 1
    log = (app.stack.data / "postgres" / "server.log").read_text(errors="replace")
    changes = [line for line in log.splitlines() if "statement" in line and "ALTER" in line and '"fifty_app"' in line]
    assert len(changes) == 1, "the password was changed once"


async def test_a_published_sample_with_stray_spaces_and_numbers_as_text_is_understood(app: Deployment) -> None:
    version = await managed(app, "sample")
    event = event_of("sample", version)
    event["data"] = {
        "Id": event["data"]["Id"],
        "VaultName ": f" {VAULT}",
        "ObjectType": "Secret ",
        "ObjectName ": " sample",
        "Version": f" {version} ",
        "NBF": "1559081980",
        "EXP": "1559082102",
    }
    assert (await app.event([event])).status == ACKNOWLEDGED
    assert await versions_after(app, "sample") == 2


async def test_a_cloud_event_is_understood(app: Deployment) -> None:
    version = await managed(app, "cloudy")
    told = event_of("cloudy", version)
    event = {
        "specversion": "1.0",
        "id": told["id"],
        "source": told["topic"],
        "type": told["eventType"],
        "subject": "cloudy",
        "time": datetime.now(UTC).isoformat(),
        "data": told["data"],
    }
    assert (await app.event(event, Content_Type="application/cloudevents+json")).status == ACKNOWLEDGED
    assert await versions_after(app, "cloudy") == 2


async def test_the_validation_handshake_is_answered(app: Deployment) -> None:
    body = [
        {
            "id": "1",
            "topic": "t",
            "subject": "",
            "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
            "eventTime": datetime.now(UTC).isoformat(),
            "data": {"validationCode": "512d38b6-c7b8-40c8-89fe-f46f9e9622b6"},
            "dataVersion": "1",
        }
    ]
    answer = await app.event(body, aeg_event_type="SubscriptionValidation")
    assert (answer.status, answer.json) == (200, {"validationResponse": "512d38b6-c7b8-40c8-89fe-f46f9e9622b6"})


def changed(event: dict[str, Any], **data: object) -> dict[str, Any]:
    return {**event, "data": {**event["data"], **data}}


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("new-version", {"eventType": "Microsoft.KeyVault.SecretNewVersionCreated"}),
        ("blob", {"eventType": "Microsoft.Storage.BlobCreated"}),
        ("no-data", {"data": None}),
        ("data-is-text", {"data": "text"}),
        ("no-version", {"data": {"VaultName": VAULT, "ObjectName": "no-version"}}),
    ],
)
async def test_what_asks_for_nothing_is_acknowledged_and_changes_nothing(
    app: Deployment, name: str, change: dict[str, object]
) -> None:
    version = await managed(app, name)
    assert (await app.event([event_of(name, version) | change])).status == ACKNOWLEDGED
    assert await versions_after(app, name) == 1


@pytest.mark.parametrize("kind", ["Key", "Certificate"])
async def test_a_key_or_a_certificate_of_the_same_name_is_left_alone(app: Deployment, kind: str) -> None:
    name = f"not-a-{kind.lower()}"
    version = await managed(app, name)
    assert (await app.event([changed(event_of(name, version), ObjectType=kind)])).status == ACKNOWLEDGED
    assert await versions_after(app, name) == 1


async def test_another_vaults_event_touches_neither_vault(app: Deployment) -> None:
    version = await managed(app, "elsewhere")
    answer = await app.event([changed(event_of("elsewhere", version), VaultName="kv-of-somebody-else")])
    assert answer.status == ACKNOWLEDGED
    assert await versions_after(app, "elsewhere") == 1


@pytest.mark.parametrize("body", ["", "[", '[{"eventType": "Microsoft.KeyVault.SecretNearEx', "[1]", "null", '"text"'])
async def test_a_truncated_body_changes_nothing_and_is_delivered_again(app: Deployment, body: str) -> None:
    """As the real host does, by tests/real_host/answers.json; Event Grid gives up after a day."""
    answer = await app.event(body)
    assert answer.status == 500


async def test_one_bad_event_does_not_hold_up_its_neighbour(app: Deployment) -> None:
    version = await managed(app, "neighbour")
    bad = event_of("x", "y") | {"data": None}
    assert (await app.event([bad, event_of("neighbour", version)])).status == ACKNOWLEDGED
    assert await versions_after(app, "neighbour") == 2


async def test_a_late_event_of_an_older_version_changes_nothing(app: Deployment) -> None:
    version = await managed(app, "stale")
    assert (await app.rotate("stale")).json["outcome"] == "rotated"
    assert (await app.near_expiry("stale", version)).status == ACKNOWLEDGED
    assert await versions_after(app, "stale") == 2


async def test_a_forged_event_for_what_is_not_due_changes_nothing(app: Deployment) -> None:
    version = await app.put("forged", await app.role("forged_app"), {"rotator": "postgres"})
    assert (await app.near_expiry("forged", version)).status == ACKNOWLEDGED
    assert await versions_after(app, "forged") == 1


async def test_a_queue_message_that_is_none_is_dropped_and_told(app: Deployment) -> None:
    before = await app.queue()
    answer = await app.call("POST", "/admin/functions/rotate", data=json.dumps({"input": "no rotation request"}))
    assert answer.status == 202
    assert await app.queue() == before
    assert "a message is dropped" in (app.stack.data / "host.log").read_text()
