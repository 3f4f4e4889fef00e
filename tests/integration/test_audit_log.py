"""Who reads a secret, by the audit log: Microsoft's SDK at the stand-in for the query API, the query over rows."""

from __future__ import annotations

import os
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import aiohttp
import pytest
from azure.core.credentials import AccessToken

from local.azure import LocalAzure
from local.azure.faults import Fault, Kind
from local.azure.logs import Span, Table
from local.azure.logs import Workspace as Served
from local.certificates import Certificates
from local.resources import workspace_resource
from local.rights import APP_OID, deployed
from local.tokens import TokenAuthority
from rotation.errors import Refused, Throttled, Unreachable
from rotation.model import SecretRef
from rotation.policy import Policy, Rule, RuleTerms
from rotation.readers import Heard, Question
from rotation.stores.audit_log import AuditLog
from tests.local_azure import APP
from tests.queries.kusto import Workspace
from tests.queries.test_vault_audit import NOON, URL, VAULT_ID

WORKSPACE = "99999999-aaaa-4bbb-8ccc-dddddddddddd"
SHOP, MAIL, ANN = (f"{n}0000000-0000-4000-8000-000000000000" for n in "123")
QUESTION = Question(SecretRef("kv-orders", "orders-db"), "v2", NOON, NOON - timedelta(days=30))
KINDS = {
    "Object": "string", "Application": "string", "User": "string", "Resource": "string", "Version": "string",
    "After": "bool", "Until": "datetime", "From": "datetime", "Addresses": "dynamic", "Kind": "string",
}  # fmt: skip
WAITS = RuleTerms(rule=1, max_grace_hours=168)
POLICY = Policy((Rule(vaults=("kv-orders",), secrets=("*",), rotators=("generated",), terms=WAITS),))


class Credential:
    def __init__(self, authority: TokenAuthority, claims: dict[str, str]) -> None:
        self._authority, self._claims = authority, claims

    async def close(self) -> None: ...

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None: ...

    async def get_token(self, *scopes: str, **_more: Any) -> AccessToken:
        [scope] = scopes
        return AccessToken(self._authority.issue(scope.removesuffix("/.default"), self._claims), 2**31)


@dataclass(slots=True)
class Place:
    azure: LocalAzure
    rows: Workspace
    served: Served
    log: AuditLog

    def read(self, who: str, at: timedelta, version: str = "", **more: Any) -> None:
        """One read as the log has it. version: asked for by name. more: columns that are another than usual."""
        served = more.pop("served", version or ("v2" if at >= timedelta() else "v1"))
        claims = {"oid": who, "appid": f"a{who[1:]}"} | more.pop("claims", {})
        columns = {
            "OperationName": "SecretGet", "HttpStatusCode": 200, "CallerIpAddress": "10.0.0.4",
            "Id": f"{URL}/orders-db/{served}", "RequestUri": f"{URL}/orders-db/{version}?api-version=7.6",
            "Identity": {"claim": claims}, "_ResourceId": VAULT_ID,
        }  # fmt: skip
        self.rows.put("AZKVAuditLogs", NOON + at, **(columns | more))

    async def ask(self, question: Question = QUESTION) -> Heard:
        return await self.log.ask(question)


def answers(rows: Workspace, text: str, span: Span) -> Table:
    """Only what is in the time span, as the service does."""
    start, end = (f"datetime({one:%Y-%m-%dT%H:%M:%SZ})" for one in span)
    within = f"AZKVAuditLogs\n    | where TimeGenerated >= {start} and TimeGenerated <= {end}\n"
    found = rows.ask(text.replace("AZKVAuditLogs\n", within))
    aware = [
        {name: value.replace(tzinfo=UTC) if isinstance(value, datetime) else value for name, value in row.items()}
        for row in found
    ]
    return Table(KINDS, [[row[name] for name in KINDS] for row in aware])


@asynccontextmanager
async def opened(
    folder: Path,
    certificates: Certificates,
    claims: dict[str, str] = APP,
    policy: Policy = POLICY,
    audience: str = "https://api.loganalytics.io",
) -> AsyncIterator[Place]:
    authority, rows = TokenAuthority(os.urandom(32)), Workspace()
    served = Served(workspace_resource(), lambda text, span: answers(rows, text, span))
    async with (
        LocalAzure(
            data=folder, cert=certificates.cert, key=certificates.key, authority=authority, rights=deployed(policy, ())
        ) as azure,
        aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=certificates.ca))
        ) as session,
    ):
        azure.logs.add_workspace(WORKSPACE, served)

        async def whoami() -> str:
            return claims["oid"]

        log = AuditLog(
            WORKSPACE, azure.logs_url, Credential(authority, claims), session, whoami,
            lambda: NOON + timedelta(days=2), audience=audience,
        )  # fmt: skip
        yield Place(azure, rows, served, log)


@pytest.fixture
async def place(tmp_path: Path, certificates: Certificates) -> AsyncIterator[Place]:
    async with opened(tmp_path, certificates) as made:
        yield made


HOUR = timedelta(hours=1)


async def test_who_read_before_the_publication_and_not_since_holds_the_old_value(place: Place) -> None:
    place.read(SHOP, -5 * HOUR)
    place.read(SHOP, -HOUR, CallerIpAddress="10.0.0.5")
    place.read(MAIL, -2 * HOUR)
    place.read(MAIL, HOUR)
    heard = await place.ask()
    assert [(one.object_id, one.holds) for one in heard.readers] == [(SHOP, True), (MAIL, False)]
    [shop] = heard.holders
    assert (shop.application_id, shop.user, shop.last_old, shop.last_new) == (f"a{SHOP[1:]}", None, NOON - HOUR, None)
    assert (shop.addresses_old, shop.addresses_new) == (2, 0)
    assert heard.readers[1].last_new == NOON + HOUR
    assert (heard.log_from, heard.log_until) == (NOON - 5 * HOUR, NOON + HOUR)


async def test_a_read_of_an_older_version_by_its_name_is_no_read_of_the_new_one(place: Place) -> None:
    place.read(SHOP, -HOUR)
    place.read(SHOP, HOUR, "v1")
    place.read(MAIL, 2 * HOUR, "v1")  # it never read before: it holds the old one all the same
    assert [one.object_id for one in (await place.ask()).holders] == [MAIL, SHOP]
    place.read(SHOP, 3 * HOUR, "v2")
    assert [one.object_id for one in (await place.ask()).holders] == [MAIL]


async def test_where_the_log_does_not_say_what_was_served_the_time_decides(place: Place) -> None:
    place.read(SHOP, -HOUR, served="")
    place.read(SHOP, timedelta(seconds=2), served="")  # `created` has whole seconds
    assert [one.object_id for one in (await place.ask()).holders] == [SHOP]
    place.read(SHOP, timedelta(seconds=3), served="")
    assert (await place.ask()).holders == ()


async def test_the_apps_own_reads_and_those_that_failed_and_other_secrets_do_not_count(place: Place) -> None:
    place.read(APP_OID, -HOUR)
    place.read(SHOP, -HOUR, HttpStatusCode=403)
    place.read(SHOP, -HOUR, HttpStatusCode=401, Identity={})
    place.read(SHOP, -HOUR, OperationName="SecretList")
    place.read(SHOP, -HOUR, Id=f"{URL}/orders-db2/v1", RequestUri=f"{URL}/orders-db2/")
    place.read(SHOP, -HOUR, Id=f"{URL}/orders/orders-db", RequestUri=f"{URL}/orders/orders-db")
    place.read(SHOP, -HOUR, _ResourceId=VAULT_ID + "-2")
    heard = await place.ask()
    assert heard.readers == ()
    assert heard.log_from == NOON - HOUR


async def test_a_failed_read_of_the_new_value_leaves_a_reader_with_the_old_one(place: Place) -> None:
    place.read(SHOP, -HOUR)
    place.read(SHOP, HOUR, HttpStatusCode=403)
    assert [one.object_id for one in (await place.ask()).holders] == [SHOP]


async def test_lines_that_come_late_are_seen_when_they_come(place: Place) -> None:
    place.read(SHOP, -HOUR)
    assert len((await place.ask()).holders) == 1
    place.read(SHOP, timedelta(minutes=5))
    assert (await place.ask()).holders == ()


async def test_names_are_told_as_the_log_has_them_whatever_their_case(place: Place) -> None:
    upn = {"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn": "ann@example.org"}
    long = {"http://schemas.microsoft.com/identity/claims/objectidentifier": ANN.upper(), "oid": ""}
    place.read(ANN, -HOUR, claims=upn | long, Id=f"{URL.upper()}/Orders-DB/v1".replace("/SECRETS/", "/secrets/"))
    site = "/subscriptions/s/resourcegroups/rg/providers/Microsoft.Web/sites/shop"
    place.read(SHOP, -2 * HOUR, claims={"xms_mirid": site}, _ResourceId=VAULT_ID.upper())
    ann, shop = (await place.ask()).readers
    assert (ann.object_id, ann.user, ann.resource) == (ANN, "ann@example.org", None)
    assert (shop.object_id, shop.resource) == (SHOP, site)


async def test_reads_before_the_older_version_was_made_are_not_asked_for(place: Place) -> None:
    place.read(SHOP, timedelta(days=-31))
    assert (await place.ask()).readers == ()
    [(_, (start, end))] = place.served.asked
    assert start <= QUESTION.since
    assert end >= NOON + timedelta(days=2)


async def test_a_log_without_a_line_about_the_vault_says_so(place: Place) -> None:
    heard = await place.ask()
    assert (heard.readers, heard.log_from, heard.log_until) == ((), None, None)


# what goes wrong


@pytest.mark.usefixtures("refused_on_purpose")
async def test_without_the_right_on_the_table_it_is_refused_and_the_role_is_named(
    tmp_path: Path, certificates: Certificates
) -> None:
    async with opened(tmp_path, certificates, policy=Policy()) as place:
        with pytest.raises(Refused, match="needs the role Keyturn audit log on the workspace"):
            await place.ask()
        assert place.served.asked == []


async def test_a_token_for_somebody_else_is_refused(tmp_path: Path, certificates: Certificates) -> None:
    async with opened(tmp_path, certificates, audience="https://management.azure.com") as place:
        with pytest.raises(Refused):
            await place.ask()


async def test_who_does_not_know_itself_does_not_ask(tmp_path: Path, certificates: Certificates) -> None:
    async with opened(tmp_path, certificates, claims={"oid": 'x" or 1 == 1'}) as place:
        with pytest.raises(Refused, match="does not say who it is"):
            await place.ask()
        assert place.served.asked == []


async def test_no_name_ends_the_quotes_that_it_is_written_into(place: Place) -> None:
    for vault, name in (("kv-orders", 'x" | union AppTraces //'), ('k"', "orders-db")):
        with pytest.raises(Refused):
            await place.ask(Question(SecretRef(vault, name), "v2", NOON, NOON))
    assert place.served.asked == []


async def test_half_an_answer_is_none(place: Place) -> None:
    place.served.partial = True
    with pytest.raises(Unreachable, match="only a part"):
        await place.ask()


async def test_an_answer_of_another_shape_is_none(place: Place) -> None:
    place.served.ask = lambda _text, _span: Table({"Kind": "string"}, [["reads"]])
    with pytest.raises(Unreachable, match="another shape"):
        await place.ask()


@pytest.fixture
def faults() -> list[tuple[Fault, type[Exception], str, int | None]]:
    return [
        (Fault(Kind.STATUS, status=429, headers={"Retry-After": "17"}), Throttled, "no more queries", 17),
        (Fault(Kind.STATUS, status=429, headers={"Retry-After": "soon"}), Throttled, "no more queries", None),
        (Fault(Kind.STATUS, status=500), Unreachable, "failed to answer", None),
        (Fault(Kind.STATUS, status=504), Unreachable, "failed to answer", None),
        (Fault(Kind.STATUS, status=400), Refused, "answered 400", None),
        (Fault(Kind.STATUS, status=404), Refused, "ROTATION_AUDIT_WORKSPACE", None),
        (Fault(Kind.DROP_BEFORE), Unreachable, "does not answer", None),
        (Fault(Kind.DROP_AFTER), Unreachable, "does not answer", None),
    ]


async def test_each_failure_is_told_in_our_words_and_not_tried_again_here(
    place: Place, faults: list[tuple[Fault, type[Exception], str, int | None]]
) -> None:
    for fault, kind, words, wait in faults:
        place.azure.faults.add(fault)
        with pytest.raises(kind, match=words) as told:
            await place.ask()
        place.azure.faults.remove(fault)
        assert type(told.value) is kind
        assert told.value.__cause__ is None
        assert "Bearer" not in str(told.value)
        assert getattr(told.value, "retry_after_s", None) == wait
        assert fault.struck == 1
