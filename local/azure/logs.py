"""The query API of Log Analytics: `POST /v1/workspaces/{id}/query`.

Request and answers as "Query - Execute" in the Log Analytics REST reference has them, errors as "Azure Monitor Log
Analytics API errors". It knows no KQL: who puts a workspace here says what a query's answer is, as a function of the
query's text and its time span. A right is asked for on each table that the query names.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from aiohttp import web

from local.azure.plane import Plane, answer, json_object

AUDIENCE = "https://api.loganalytics.io"
RUN, READ = (
    "Microsoft.OperationalInsights/workspaces/query/read",
    "Microsoft.OperationalInsights/workspaces/query/{}/read",
)
FIELDS = frozenset({"query", "timespan", "workspaces"})
TABLE = re.compile(r"\b(AZKVAuditLogs|AzureDiagnostics|AppTraces)\b")
TYPES = frozenset({"string", "datetime", "dynamic", "bool", "long", "real", "int"})

Span = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Table:
    """A query's answer: columns by name, each with its type; a dynamic value is JSON text, a time is aware."""

    columns: Mapping[str, str]
    rows: Sequence[Sequence[object]]

    def __post_init__(self) -> None:
        if not set(self.columns.values()) <= TYPES:
            raise ValueError("a column has a type that KQL has not")


@dataclass(slots=True)
class Workspace:
    """resource: its resource id. ask: the answer to a query, over what came in its time span.

    partial: the next answers are only a part. asked: every query with its time span.
    """

    resource: str
    ask: Callable[[str, Span], Table]
    partial: bool = False
    asked: list[tuple[str, Span]] = field(default_factory=list)


class Logs:
    """Serves the calls below `path`."""

    def __init__(self, plane: Plane) -> None:
        self._plane = plane
        self._workspaces: dict[str, Workspace] = {}

    def add_workspace(self, workspace_id: str, workspace: Workspace) -> None:
        """Put one here. workspace_id: a GUID."""
        self._workspaces[str(uuid.UUID(workspace_id))] = workspace

    async def handle(self, request: web.Request) -> web.Response:
        """One query."""
        claims = self._plane.check_token(request, AUDIENCE)
        workspace = self._workspaces.get(request.match_info["id"].lower())
        if request.match_info["version"] != "v1" or workspace is None:
            raise answer(404, "PathNotFoundError", "The requested path does not exist")
        body = await json_object(request)
        text, span = body.get("query"), _span(body.get("timespan"))
        if not set(body) <= FIELDS or not isinstance(text, str) or body.get("workspaces") or span is None:
            raise answer(400, "BadArgumentError", "The request had some invalid properties")
        needed = [RUN, *(READ.format(table) for table in sorted(set(TABLE.findall(text))))]
        refused = [one for one in needed if not self._plane.rights.permit(claims, one, workspace.resource)]
        if refused:
            raise answer(
                403,
                "InsufficientAccessError",
                "The provided credentials have insufficient access to perform the requested operation",
            )
        workspace.asked.append((text, span))
        return web.json_response(_body(workspace.ask(text, span), partial=workspace.partial))


def _span(text: object) -> Span | None:
    """`start/end`, as ISO 8601 has it; other spans are not asked for here."""
    try:
        start, end = (datetime.fromisoformat(one) for one in str(text).split("/"))
    except ValueError:
        return None
    return (start, end) if start.tzinfo and end.tzinfo and start <= end else None


def _body(table: Table, *, partial: bool) -> dict[str, Any]:
    columns = [{"name": name, "type": kind} for name, kind in table.columns.items()]
    rows = [[_cell(value) for value in row] for row in table.rows]
    body: dict[str, Any] = {"tables": [{"name": "PrimaryResult", "columns": columns, "rows": rows}]}
    if partial:
        inner = {"code": "QueryExecutionError", "message": "Query result set has exceeded the internal record count"}
        body["error"] = {"code": "PartialError", "message": "There were some errors", "details": [inner]}
    return body


def _cell(value: object) -> object:
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else value
