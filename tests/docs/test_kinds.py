"""The pages list each kind of rotator, as it says of itself."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from rotation.rotators import ROTATORS
from tests.docs.kinds import HEADS, README, ROTATORS_PAGE, table, written


@pytest.mark.parametrize("page", HEADS, ids=lambda page: page.name)
def test_the_tables_of_kinds_are_those_of_the_map(page: Path) -> None:
    assert written(page) == table(page), "python -m tests.docs.kinds"


def test_the_readme_has_each_kind_once_and_one_row_for_those_of_the_table() -> None:
    first = [row.split("|")[1] for row in written(README)[2:] if "others like them" not in row]
    alone = [name for cell in first for name in cell.split("`")[1::2]]
    assert sorted(alone) == sorted(name for name, kind in ROTATORS.items() if not kind.row)
    [grouped] = [row for row in written(README) if "others like them" in row]
    named = grouped.partition("others like them")[0].split("`")[1::2]
    rows = [name for name, kind in ROTATORS.items() if kind.row]
    assert set(named) <= set(rows)
    assert f"and {len(rows) - len(named)} [others" in grouped


def test_the_command_prints_the_table_of_the_page() -> None:
    done = subprocess.run([sys.executable, "-m", "rotation.rotators"], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == written(ROTATORS_PAGE)


def test_the_command_tells_machines_each_kind_by_its_name() -> None:
    command = [sys.executable, "-m", "rotation.rotators", "--json"]
    told = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert [one["name"] for one in told] == list(ROTATORS)
    assert all(one[field] for one in told for field in ("verify", "retire", "rights", "policy", "tested"))
    wrong = subprocess.run([*command, "more"], capture_output=True, text=True, check=False)
    assert (wrong.returncode, wrong.stdout) == (2, "")
