"""The vaults' audit log in a Log Analytics workspace, over Microsoft's SDK, azure-monitor-query (aio).

Read is the table AZKVAuditLogs alone, to which a diagnostic setting with the destination type Dedicated writes
(Microsoft Learn, "AZKVAuditLogs"): so that the app's identity needs a right on that one table. In a line `Id` is what
was served, with its version; `RequestUri` is what was asked for (the same, "Azure Key Vault logging").
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rotation.addresses import is_guid
from rotation.errors import Refused, RotationError, Throttled, Unreachable
from rotation.readers import TICK, Heard, Question, Reads, readers_of

if TYPE_CHECKING:
    import aiohttp
    from azure.core.credentials_async import AsyncTokenCredential
    from azure.core.exceptions import HttpResponseError
    from azure.monitor.query.aio import LogsQueryClient

QUERY = Path(__file__).with_name("who_read.kql")
SERVER_S = 12  # what the service may take; a run waits a little longer for a call
_SETTING = "ROTATION_AUDIT_WORKSPACE"
_WORD = re.compile(r"[0-9A-Za-z-]{1,127}")  # what can stand in the query's quotes and end nothing
_BAD, _UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _TOO_MANY, _SERVER = 400, 401, 403, 404, 429, 500
_MINUTE = timedelta(minutes=1)
_ENDS = ("From", "Until")


class AuditLog:
    """See `rotation.readers.Readers`. `session` is shared and stays the caller's.

    workspace: its id, a GUID ("Workspace ID" of its overview in the portal). endpoint: of the query API in this cloud.
    audience: of its tokens; None: the endpoint, as in every cloud. whoami: the object id of the app's own identity;
    None: nobody can tell.
    """

    def __init__(
        self,
        workspace: str,
        endpoint: str,
        credential: AsyncTokenCredential,
        session: aiohttp.ClientSession,
        whoami: Callable[[], Awaitable[str | None]],
        now: Callable[[], datetime],
        *,
        audience: str | None = None,
    ) -> None:
        self._workspace = workspace
        self._endpoint = endpoint
        self._credential = credential
        self._session = session
        self._whoami = whoami
        self._now = now
        self._audience = audience or endpoint
        self._client: LogsQueryClient | None = None

    async def ask(self, question: Question) -> Heard:
        own = await self._whoami()
        if own is None or not is_guid(own.lower()):
            raise Refused("the app's own token does not say who it is, so its reads can't be told from others'")
        as_of = self._now()
        timespan = (question.since - _MINUTE, max(as_of, question.published_at) + _MINUTE)
        with _translated():
            answer: Any = await self._connected().query_workspace(
                self._workspace, query(question, own), timespan=timespan, server_timeout=SERVER_S
            )
        if getattr(answer, "partial_error", None) is not None:
            raise Unreachable("the audit log's answer is only a part of what was asked for")
        try:
            [table] = answer.tables
            rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
            [log] = [row for row in rows if row["Kind"] == "log"]
            reads = [_reads(row) for row in rows if row["Kind"] == "reads"]
            heard = Heard(readers_of(reads, question), as_of, *(_time(log[end]) if log[end] else None for end in _ENDS))
        except (ValueError, KeyError, TypeError):
            heard = None
        if heard is None:
            raise Unreachable("the audit log's answer has another shape than the query's")
        return heard

    def _connected(self) -> LogsQueryClient:
        from azure.core.pipeline.transport import AioHttpTransport  # noqa: PLC0415  who asks nothing pays nothing
        from azure.monitor.query.aio import LogsQueryClient  # noqa: PLC0415  as above

        if self._client is None:
            self._client = LogsQueryClient(
                self._credential,
                endpoint=self._endpoint,
                audience=self._audience,
                transport=AioHttpTransport(session=self._session, session_owner=False),
                retry_total=0,  # the next sweep asks again
            )
        return self._client


def query(question: Question, own: str) -> str:
    """The text to send.

    Raises:
        Refused: a name could be more than a name in it.
    """
    vault, secret = question.secret.vault, question.secret.name
    if not all(_WORD.fullmatch(one) for one in (vault, secret, own)):
        raise Refused("the audit log can't be asked about such a name")
    published = (question.published_at + TICK).astimezone(UTC).isoformat(timespec="microseconds")
    text = QUERY.read_text(encoding="utf-8")
    for name, value in (("vault", vault.lower()), ("secret", secret.lower()), ("own", own.lower())):
        text = _put(text, f'let {name} = ""', f'let {name} = "{value}"')
    return _put(text, "datetime(null)", f"datetime({published.replace('+00:00', 'Z')})")


def _put(text: str, place: str, value: str) -> str:
    assert text.count(place) == 1  # noqa: S101  the file beside this one has each once
    return text.replace(place, value)


def _reads(row: Mapping[str, Any]) -> Reads:
    told = {name: str(row[name] or "") or None for name in ("Object", "Application", "User", "Resource", "Version")}
    return Reads(
        told["Object"],
        told["Application"],
        told["User"],
        told["Resource"],
        told["Version"],
        after=bool(row["After"]),
        last=_time(row["Until"]),
        addresses=frozenset(json.loads(row["Addresses"] or "[]")),
    )


def _time(value: object) -> datetime:
    """Raises TypeError where it is none: the SDK hands over what it can't read as it is."""
    if not isinstance(value, datetime):
        raise TypeError
    return value


@contextmanager
def _translated() -> Iterator[None]:
    """Raises errors of ours instead of the library's, whose texts are not repeated."""
    from azure.core.exceptions import AzureError, HttpResponseError  # noqa: PLC0415  lazy, as above

    try:
        yield
    except HttpResponseError as error:
        told = _told(error)
    except AzureError:
        told = Unreachable("the audit log's workspace does not answer")
    else:
        return
    raise told


def _told(error: HttpResponseError) -> RotationError:
    """See Microsoft Learn, "Azure Monitor Log Analytics API errors"."""
    status = error.status_code or 0
    if status in {_UNAUTHORIZED, _FORBIDDEN}:
        return Refused(
            "the audit log may not be read: the app's identity needs the role Keyturn audit log on the workspace; "
            "deploy with auditReaders = true, which grants it"
        )
    if status == _NOT_FOUND:
        return Refused(f"there is no workspace of the id in {_SETTING}: set it to the workspace's GUID", field=_SETTING)
    if status == _TOO_MANY:
        after = str(getattr(error.response, "headers", {}).get("Retry-After", ""))
        return Throttled(
            "the audit log's workspace takes no more queries just now",
            retry_after_s=int(after) if after.isascii() and after.isdigit() else None,
        )
    if _BAD <= status < _SERVER:
        return Refused(f"the audit log can't be asked: the workspace answered {status} to the app's query")
    return Unreachable("the audit log's workspace failed to answer")
