"""The query that the app itself sends is KQL; what it finds is tested over Microsoft's SDK, in tests/integration."""

from datetime import UTC, datetime, timedelta

import pytest

from rotation.model import SecretRef
from rotation.readers import Question
from rotation.stores.audit_log import query
from tests.queries.kusto import parsed

pytestmark = pytest.mark.thorough

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)
OWN = "22222222-0000-4000-8000-000000000000"


def test_it_is_understood_by_the_languages_own_parser_and_has_the_columns_that_are_read(parser: None) -> None:
    question = Question(SecretRef("kv-Orders", "Orders-DB"), "v2", NOON, NOON - timedelta(days=30))
    told = parsed({"who_read": query(question, OWN)})["who_read"]
    assert list(told.diagnostics) == []
    assert told.columns == {
        "Object": "string", "Application": "string", "User": "string", "Resource": "string", "Version": "string",
        "After": "bool", "Until": "datetime", "From": "datetime", "Addresses": "dynamic", "Kind": "string",
    }  # fmt: skip
