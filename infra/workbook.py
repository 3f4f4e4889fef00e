"""Makes workbook.json out of the queries, so that no query stands twice: `python -m infra.workbook`.

The shape is that of the Azure Monitor workbook schema (Application-Insights-Workbooks, schema/workbook.json). It names
no resource: a workbook of a workspace asks that workspace.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

HERE = Path(__file__).parent
WORKBOOK = HERE / "workbook.json"
SCHEMA = "https://github.com/Microsoft/Application-Insights-Workbooks/blob/master/schema/workbook.json"
WORKSPACES = "microsoft.operationalinsights/workspaces"
TEXT, QUERY, PARAMETERS = 1, 3, 9  # kinds of items
# What a query lets its reader choose, and the workbook's parameter that chooses it.
PLACEHOLDERS = {'let wanted = "";': 'let wanted = "{Secret}";', 'let operation = "";': 'let operation = "{Operation}";'}
WINDOWS = {"PT30M": timedelta(minutes=30), "PT2H": timedelta(hours=2), "PT3H": timedelta(hours=3)}
QUIET = "Nothing. All is well."


@dataclass(frozen=True, slots=True)
class Shown:
    """One query and how it is shown. window: its own time range; None: what the reader chose."""

    query: str
    title: str
    visualization: str = "table"
    window: timedelta | None = None
    nothing: str = "Nothing in this time range."


LOOKS = (
    Shown("last-word", "The last word on each secret"),
    Shown("outcomes", "Outcomes by the hour", "barchart"),
    Shown("time-to-rotate", "How long runs took, in seconds"),
    Shown("rotation-story", "One operation's story (set Operation above)", nothing="No line names this operation."),
    Shown("who-touched-which-secret", "Who read and wrote which secret (Secret above: a part of its name)"),
    Shown("delivery-failures", "Events that could not be delivered"),
)


def workbook() -> dict[str, object]:
    """The whole workbook."""
    alerts = json.loads((HERE / "alerts.json").read_text())["logAlerts"]
    alarming = [_alert(alert) for alert in alerts]
    return {
        "version": "Notebook/1.0",
        "items": [
            _text(
                "top",
                "# Keyturn\nWhat rotates, what does not, who reads it. What to do at each alert: docs/operations.md.",
            ),
            _parameters(),
            _text("alarming", "## What would alarm now\nThe alerts' own queries, each over its own window."),
            *(_query(shown) for shown in alarming),
            _text("looking", "## Looking closer"),
            *(_query(shown) for shown in LOOKS),
        ],
        "fallbackResourceIds": [],
        "$schema": SCHEMA,
    }


def rendered() -> str:
    """The file's text."""
    return json.dumps(workbook(), indent=2, ensure_ascii=False) + "\n"


def query_text(name: str) -> str:
    """A query's text, with the workbook's parameters in the places that it leaves to its reader."""
    text = (HERE / "queries" / f"{name}.kql").read_text()
    for empty, filled in PLACEHOLDERS.items():
        text = text.replace(empty, filled)
    return text


def _alert(alert: Mapping[str, str]) -> Shown:
    window = WINDOWS[alert["windowSize"]]
    title = f"{alert['name']}, over {window.total_seconds() / 3600:g} h"
    return Shown(alert["query"].removesuffix(".kql"), title, window=window, nothing=QUIET)


def _text(name: str, markdown: str) -> dict[str, object]:
    return {"type": TEXT, "content": {"json": markdown}, "name": name}


def _query(shown: Shown) -> dict[str, object]:
    content: dict[str, object] = {
        "version": "KqlItem/1.0",
        "query": query_text(shown.query),
        "size": 0,
        "title": shown.title,
        "noDataMessage": shown.nothing,
        "queryType": 0,
        "resourceType": WORKSPACES,
        "visualization": shown.visualization,
    }
    if shown.window is None:
        content["timeContextFromParameter"] = "Time"
    else:
        content["timeContext"] = {"durationMs": int(shown.window.total_seconds() * 1000)}
    return {"type": QUERY, "content": content, "name": shown.query}


def _parameters() -> dict[str, object]:
    choices = [{"durationMs": int(timedelta(hours=hours).total_seconds() * 1000)} for hours in (4, 24, 168, 720)]
    time = _parameter("Time", 4, isRequired=True, value=choices[2], typeSettings={"selectableValues": choices})
    texts = [_parameter(name, 1, value="", typeSettings={}) for name in ("Secret", "Operation")]
    content = {
        "version": "KqlParameterItem/1.0",
        "parameters": [time, *texts],
        "style": "pills",
        "queryType": 0,
        "resourceType": WORKSPACES,
    }
    return {"type": PARAMETERS, "content": content, "name": "parameters"}


def _parameter(name: str, kind: int, **rest: object) -> dict[str, object]:
    identity = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{SCHEMA}#keyturn-{name}"))  # the same at each making
    return {"id": identity, "version": "KqlParameterItem/1.0", "name": name, "type": kind, **rest}


if __name__ == "__main__":
    WORKBOOK.write_text(rendered())
