"""KQL on this machine: parsed by Microsoft's own parser, and run over DuckDB on rows that a test makes."""

import json
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb_kql

from local import npm
from tests.queries.tables import TABLES

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PLACE = npm.CACHE / "kusto"
QUERIES = ROOT / "infra" / "queries"
TYPES = {
    "datetime": "TIMESTAMP",
    "string": "VARCHAR",
    "int": "INTEGER",
    "real": "DOUBLE",
    "bool": "BOOLEAN",
    "dynamic": "JSON",
}
# DuckDB's tables have every column; what Azure's may lack is asked for in a way that the translation does not know.
_IF_EXISTS = re.compile(r'column_ifexists\("(\w+)", (?:""|real\(null\))\)')


@dataclass(frozen=True, slots=True)
class Parsed:
    """What the parser says of one query: what is wrong with it, and the columns of its rows with their types."""

    diagnostics: Sequence[str]
    columns: Mapping[str, str]


def set_up() -> None:
    """Fetch the parser, as `package-lock.json` beside this file pins it, where it is not there yet.

    Raises:
        Missing: no node or npm, or npm can't fetch it.
    """
    npm.set_up("the parser of KQL", HERE, PLACE.name)


def parsed(queries: Mapping[str, str]) -> Mapping[str, Parsed]:
    """Each query, parsed and analyzed against `TABLES`."""
    tables = {
        table: "(" + ", ".join(f"{name}:{kind}" for name, kind in columns.items()) + ")"
        for table, columns in TABLES.items()
    }
    answer = subprocess.run(
        ["node", str(HERE / "parse.js"), str(PLACE)],
        input=json.dumps({"tables": tables, "queries": dict(queries)}),
        capture_output=True,
        text=True,
        check=True,
    )
    return {name: Parsed(one["diagnostics"], one["columns"]) for name, one in json.loads(answer.stdout).items()}


def query(name: str, **chosen: str) -> str:
    """The text of `infra/queries/NAME.kql`; `chosen` sets what it leaves to its reader."""
    text = (QUERIES / f"{name}.kql").read_text()
    for placeholder, value in chosen.items():
        empty = f'let {placeholder} = "";'
        assert empty in text
        text = text.replace(empty, f'let {placeholder} = "{value}";')
    return text


class Workspace:
    """A Log Analytics workspace whose rows a test puts in."""

    def __init__(self) -> None:
        self._connection = duckdb_kql.connect()
        for table, columns in TABLES.items():
            fields = ", ".join(f'"{name}" {TYPES[kind]}' for name, kind in columns.items())
            self._connection.execute(f'CREATE TABLE "{table}" ({fields})')

    def put(self, table: str, at: datetime, **columns: Any) -> None:
        """One row; what is not named is null, and a mapping is dynamic."""
        row = {"TimeGenerated": at.replace(tzinfo=None)} | {
            name: json.dumps(value) if isinstance(value, dict) else value for name, value in columns.items()
        }
        assert row.keys() <= TABLES[table].keys()
        names = ", ".join(f'"{name}"' for name in row)
        marks = ", ".join("?" * len(row))
        self._connection.execute(f'INSERT INTO "{table}" ({names}) VALUES ({marks})', list(row.values()))  # noqa: S608

    def ask(self, kql: str) -> list[dict[str, Any]]:
        """The rows of a query's answer."""
        answer = duckdb_kql.query(self._connection, _IF_EXISTS.sub(r"\1", kql))
        return [dict(zip(answer.columns, row, strict=True)) for row in answer.fetchall()]
