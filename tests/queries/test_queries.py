"""The queries are KQL, say what they must, and stand once: alerts.json and the workbook only show them."""

import json
import re
from typing import Any

import pytest

from tests.infra.preview import Preview
from tests.queries.kusto import QUERIES, ROOT, parsed, query

pytestmark = pytest.mark.thorough

NAMES = sorted(path.stem for path in QUERIES.glob("*.kql"))
ALERTS: dict[str, Any] = json.loads((ROOT / "infra" / "alerts.json").read_text())
# Microsoft.Insights/scheduledQueryRules: what evaluationFrequency and windowSize may be, up to what is used here.
PERIODS = ("PT5M", "PT10M", "PT15M", "PT30M", "PT1H", "PT2H", "PT3H")
# What a query leaves to its reader, and the workbook's parameter that is put there.
PLACEHOLDERS = {'let wanted = "";': 'let wanted = "{Secret}";', 'let operation = "";': 'let operation = "{Operation}";'}
MINUTES = {"PT5M": 5, "PT10M": 10, "PT15M": 15, "PT30M": 30, "PT1H": 60, "PT2H": 120, "PT3H": 180}


def items(kind: int) -> list[dict[str, Any]]:
    """Those of one kind in the workbook that would be deployed."""
    found: Any = json.loads(Preview("small").one("Insights/workbooks")["properties"]["serializedData"])["items"]
    return [item for item in found if item["type"] == kind]


def test_each_query_is_understood_by_the_languages_own_parser(parser: None) -> None:
    for name, told in parsed({name: query(name) for name in NAMES}).items():
        assert list(told.diagnostics) == [], name
        assert told.columns, name


def test_the_parser_finds_what_is_wrong(parser: None) -> None:
    broken = {
        "column": "AppTraces | where Messag == ''",
        "table": "AppTrace | take 1",
        "syntax": "AppTraces | wher true",
        "function": "AppTraces | where nosuch(Message)",
    }
    for name, told in parsed(broken).items():
        assert told.diagnostics, name


@pytest.mark.parametrize("name", NAMES)
def test_each_query_says_first_what_it_asks(name: str) -> None:
    assert re.match(r"// [A-Z].+\.?\n", query(name))


def test_each_alert_has_a_query_whose_rows_name_what_it_splits_by(parser: None) -> None:
    told = parsed({name: query(name) for name in NAMES})
    for alert in ALERTS["logAlerts"]:
        assert alert["query"] == f"{alert['name']}.kql"
        columns = told[alert["name"]].columns
        assert all(columns[dimension] == "string" for dimension in alert["dimensions"]), alert["name"]
        assert "Message" in columns or "Reason" in columns, "somebody reads this at night"


@pytest.mark.parametrize("alert", [*ALERTS["logAlerts"], *ALERTS["metricAlerts"]], ids=lambda alert: alert["name"])
def test_each_alerts_numbers_are_such_as_azure_takes(alert: dict[str, Any]) -> None:
    assert alert["severity"] in {1, 2}
    assert alert["evaluationFrequency"] in PERIODS
    assert alert["windowSize"] in PERIODS
    assert MINUTES[alert["evaluationFrequency"]] < MINUTES[alert["windowSize"]], "a row must not fall between two looks"


@pytest.mark.parametrize("alert", ALERTS["logAlerts"], ids=lambda alert: alert["name"])
def test_an_alerts_window_is_the_rules_and_not_the_querys(alert: dict[str, Any]) -> None:
    assert not re.search(r"where\s+TimeGenerated|\bago\(|\bnow\(", query(alert["name"]))


def test_the_seven_things_that_must_be_alarmed_are() -> None:
    names = {alert["name"] for alert in [*ALERTS["logAlerts"], *ALERTS["metricAlerts"]]}
    assert names >= {
        "failed-rotations",
        "poison-messages",
        "dead-letters",
        "expiring-unrotated",
        "vault-refusals",
        "no-sweep",
    }
    [no_sweep] = [alert for alert in ALERTS["logAlerts"] if alert["name"] == "no-sweep"]
    assert no_sweep["windowSize"] == "PT3H"


def test_the_workbook_shows_each_query_once_as_it_stands_but_for_what_its_reader_chooses() -> None:
    shown = [(item["name"], item["content"]["query"]) for item in items(3)]
    assert sorted(name for name, _ in shown) == NAMES
    for name, asked in shown:
        expected = query(name)
        for empty, filled in PLACEHOLDERS.items():
            expected = expected.replace(empty, filled)
        assert asked == expected, "make bicep-snapshots"


def test_what_the_workbook_asks_is_understood_too(parser: None) -> None:
    asked = {item["name"]: item["content"]["query"] for item in items(3)}
    assert {name: list(told.diagnostics) for name, told in parsed(asked).items() if told.diagnostics} == {}


def test_the_workbooks_parameters_are_those_that_its_queries_name() -> None:
    [parameters] = items(9)
    names = {parameter["name"] for parameter in parameters["content"]["parameters"]}
    used = set(re.findall(r"\{(\w+)\}", " ".join(item["content"]["query"] for item in items(3))))
    used |= {item["content"].get("timeContextFromParameter", "Time") for item in items(3)}
    assert used == names
    assert all(any(empty in query(name) for name in NAMES) for empty in PLACEHOLDERS)


def test_the_workbook_looks_at_an_alerts_query_over_the_alerts_window() -> None:
    shown = {item["name"]: item["content"] for item in items(3)}
    for alert in ALERTS["logAlerts"]:
        minutes = MINUTES[alert["windowSize"]]
        assert shown[alert["name"]]["timeContext"] == {"durationMs": minutes * 60_000}
        assert shown[alert["name"]]["title"] == f"{alert['name']}, over {minutes / 60:g} h"
