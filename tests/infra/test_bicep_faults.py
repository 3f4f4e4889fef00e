"""A fault that is planted in the templates is found, each by what CI runs: the compiler, the previews, or a promise."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.infra import compiled
from tests.infra.compiled import INFRA, Infra
from tests.infra.preview import Preview
from tests.infra.test_bicep_app import unsettled
from tests.infra.test_bicep_roles import misplaced

pytestmark = pytest.mark.thorough

APP, ROLES, MAIN = "modules/function-app.bicep", "modules/roles.bicep", "main.bicep"


@pytest.fixture
def copy(tmp_path: Path) -> Infra:
    shutil.copytree(INFRA, tmp_path / "infra", ignore=shutil.ignore_patterns("__pycache__"))
    return Infra(tmp_path / "infra")


def plant(copy: Infra, name: str, text: str, instead: str) -> None:
    file = copy.folder / name
    before = file.read_text()
    assert before.count(text) == 1, text
    file.write_text(before.replace(text, instead))


def build(copy: Infra) -> Iterator[str]:
    yield from copy.told("build", "main.bicep").findings


def lint(copy: Infra) -> Iterator[str]:
    yield from copy.told("lint", "main.bicep").findings


COMPILER = [
    ("an unknown property", APP, "    httpsOnly: true", "    httpsOnly: true\n    colour: 'red'", "BCP037"),
    ("a misspelled property", APP, "    httpsOnly: true", "    httpOnly: true", "BCP089"),
    ("a wrong type", APP, "    httpsOnly: true", "    httpsOnly: 'true'", "BCP036"),
    ("a wrong scope", MAIN, "  name: '${name}-identity'\n  scope: group", "  name: '${name}-identity'", "BCP134"),
    ("a missing parameter", MAIN, "    planName: 'plan-${name}'\n", "", "BCP035"),
    ("an unknown parameter", MAIN, "    planName: 'plan-", "    plnName: 'plan-", "BCP089"),
    ("an output that is not there", MAIN, "app.outputs.url", "app.outputs.address", "BCP053"),
    (
        "a name that is known too late",
        MAIN,
        "  name: '${name}-roles'",
        "  name: '${identity.outputs.id}-roles'",
        "BCP120",
    ),
    ("a name of nothing", ROLES, "flatten(map(\n  table.grants", "flatten(map(\n  tabel.grants", "BCP057"),
]


@pytest.mark.parametrize(
    ("file", "text", "instead", "code"), [one[1:] for one in COMPILER], ids=[one[0] for one in COMPILER]
)
def test_the_compiler_finds(copy: Infra, file: str, text: str, instead: str, code: str) -> None:
    plant(copy, file, text, instead)
    assert any(f" {code}: " in line for line in build(copy)), list(build(copy))


def test_the_linter_finds_a_parameter_that_is_not_used(copy: Infra) -> None:
    plant(copy, MAIN, "param tags object = {}", "param tags object = {}\nparam labels object = {}")
    assert any("no-unused-params" in line for line in lint(copy))


def roles(copy: Infra) -> Iterator[str]:
    yield from misplaced("small", copy)


def settings(copy: Infra) -> Iterator[str]:
    yield from unsettled(Preview("small", copy).settings())


LEDGER = "['${ledgerStorageId}/blobServices/default/containers/${ledgerContainer}']"
PROMISES: list[tuple[str, str, str, str, Callable[[Infra], Iterator[str]], str]] = [
    (
        "a role on the wrong place",
        MAIN,
        f"  ledgerContainer: {LEDGER}",
        "  ledgerContainer: [ledgerStorageId]",
        roles,
        "too much: Keyturn ledger (keyturn) on ",
    ),
    (
        "a role for somebody else",
        MAIN,
        "    principalId: identity.outputs.principalId\n    topic",
        "    principalId: watchedVaults[0].outputs.topicPrincipalId\n    topic",
        roles,
        "missing: Keyturn secrets (keyturn) on ",
    ),
    (
        "a setting that the app does not know",
        APP,
        "name: 'ROTATION_POLICY'",
        "name: 'ROTATION_POLICE'",
        settings,
        "ROTATION_POLICE is set, and nobody reads it",
    ),
    (
        "one that it needs and that is not set",
        APP,
        "  { name: 'ROTATION_LEDGER', value: ledgerUrl }\n",
        "",
        settings,
        "ROTATION_LEDGER is missing",
    ),
    (
        "one that it reads and that is not set",
        APP,
        "  { name: 'ROTATION_SWEEP_SCHEDULE', value: sweepSchedule }\n",
        "",
        settings,
        "ROTATION_SWEEP_SCHEDULE is not set",
    ),
]


@pytest.mark.parametrize(
    ("file", "text", "instead", "check", "told"), [one[1:] for one in PROMISES], ids=[one[0] for one in PROMISES]
)
def test_the_preview_differs_and_even_one_written_anew_breaks_a_promise(
    copy: Infra, file: str, text: str, instead: str, check: Callable[[Infra], Iterator[str]], told: str
) -> None:
    assert list(check(copy)) == []
    plant(copy, file, text, instead)
    assert copy.told("snapshot", "small.bicepparam", *compiled.where("small")).code != 0
    copy.preview("small")
    assert any(line.startswith(told) for line in check(copy)), list(check(copy))
