"""The whole way out: the app in Microsoft's worker library, which starts Azure Monitor's exporters as on Azure."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from unittest.mock import patch
from urllib.parse import unquote, urlsplit

import pytest

from local.stack import Stack
from tests.e2e.deployment import Deployment, opened
from tests.telemetry.ingestion import Ingestion, ingesting

STEPS = {"keyturn.rotation", "keyturn.stage", "keyturn.apply", "keyturn.publish"}
SETTINGS = {
    "PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY": "true",
    "PYTHON_APPLICATIONINSIGHTS_LOGGER_NAME": "keyturn",
    "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "azure_sdk,django,fastapi,flask,httpx,psycopg2,requests,urllib,urllib3",
    "OTEL_TRACES_SAMPLER": "microsoft.fixed_percentage",
    "OTEL_TRACES_SAMPLER_ARG": "1.0",
    "OTEL_BSP_SCHEDULE_DELAY": "200",
    "OTEL_BLRP_SCHEDULE_DELAY": "200",
    "OTEL_METRIC_EXPORT_INTERVAL": "500",
    "APPLICATIONINSIGHTS_STATSBEAT_DISABLED_ALL": "true",  # the exporter's own figures go to Microsoft
}


async def test_a_rotation_is_seen_in_application_insights_without_its_values(tmp_path: Path) -> None:
    with ingesting() as ingestion:
        settings = {**SETTINGS, "APPLICATIONINSIGHTS_CONNECTION_STRING": ingestion.connection_string}
        with patch.dict("os.environ", settings), Stack(tmp_path / "stack") as stack:
            async with opened(stack, []) as app:
                values = await rotated(app)
                await until(lambda: spans(ingestion) >= STEPS and bool(outcomes(ingestion)) and bool(told(ingestion)))
    assert outcomes(ingestion) == {"rotated"}
    assert told(ingestion) == ["traced"]
    parents = {span["name"]: span for span in ingestion.of("RemoteDependencyData")}
    assert parents["keyturn.rotation"]["properties"]["keyturn.vault"] == "kv-demo"
    assert len(values) == 3
    assert not [value for value in values if value in str(ingestion.envelopes)]


async def rotated(app: Deployment) -> list[str]:
    """Rotate one password by HTTP -> the old value and the new one, and the function key, which stood in the URL."""
    old = await app.role("traced_app")
    await app.put("traced", old, {"rotator": "postgres"}, life=timedelta(days=60))
    key = app.stack.ready["function_key"]
    answer = await app.call("POST", f"/api/vaults/kv-demo/secrets/traced/rotate?code={key}", key=None)
    assert answer.json["outcome"] == "rotated"
    passwords = [urlsplit(value.reveal()).password for value in (old, await app.value("traced"))]
    return [key, *(unquote(password) for password in passwords if password)]


def spans(ingestion: Ingestion) -> set[str]:
    return {span["name"] for span in ingestion.of("RemoteDependencyData")}


def told(ingestion: Ingestion) -> list[str]:
    """The secrets of the lines about outcomes."""
    facts = [line["properties"] for line in ingestion.of("MessageData")]
    return [fact["keyturn.secret"] for fact in facts if fact.get("keyturn.event") == "outcome"]


def outcomes(ingestion: Ingestion) -> set[str]:
    return {
        point["properties"]["keyturn.outcome"]
        for point in ingestion.of("MetricData")
        if point["metrics"][0]["name"] == "keyturn.outcomes"
    }


async def until(seen: Callable[[], bool]) -> None:
    try:
        async with asyncio.timeout(30):
            while not seen():  # noqa: ASYNC110  the exporter sends when it will
                await asyncio.sleep(0.1)
    except TimeoutError:
        pytest.fail("nothing arrived")
