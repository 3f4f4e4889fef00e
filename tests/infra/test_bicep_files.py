"""Every Bicep file: read whole, and held to what its compiler would ask for."""

import json
import re
import shutil
from pathlib import Path

import pytest

from tests.infra.bicep import INFRA, File, all_files, read
from tests.infra.compiler import problems

FILES = all_files()
PARAMETER_FILES = sorted(INFRA.glob("*.bicepparam"))
CALL = "module m 'vault.bicep' = {\n  name: 'm'"
ENTRIES = ("main.bicep", "subscription.bicep")


def name_of(file: File) -> str:
    return file.name


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_a_file_is_read_whole_and_a_compiler_would_take_it(file: File) -> None:
    assert list(problems(file)) == []


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ("param a string", "a is not used"),
        ("output a string = b", "nothing is called b"),
        ("param a bType = {}\noutput c object = a", "no type bType"),
        ("output a string = toLoewr('A')", "no function toLoewr"),
        ("output a string = toLower('A', 'B')", "takes another number of arguments"),
        ("output a object = loadJsonContent('gone.json')", "is loaded, and not there"),
        ("import { gone } from 'types.bicep'\noutput a string = gone('')", "is not exported"),
        ("module m 'gone.bicep' = {\n  name: 'm'\n}", "no file gone.bicep"),
        (CALL + "\n  params: {\n    name: 'v'\n  }\n}", "the parameter tags is missing"),
        (CALL + "\n  params: {\n    nmae: 'v'\n  }\n}", "has no parameter nmae"),
        (CALL + "\n  parms: {}\n}", "a module knows no parms"),
        (CALL + "\n}\noutput a string = m.outputs.b", "has no output b"),
        ("targetScope = 'subscription'\nmodule m 'vault.bicep' = {\n  name: 'm'\n}", "is for a resourceGroup"),
        ("targetScope = 'subscription'\noutput a string = resourceGroup().name", "there is no resourceGroup()"),
        ("resource a 'M.A/b@1' = {\n  name: c.properties.d\n}\nresource c 'M.A/b@1' = {\n  name: 'c'\n}",
         "c is known too late"),
        ("var a = map([1], b => c)\noutput d array = a", "nothing is called c"),
        ("resource a 'M.A/b@2020-01-01' = {\n  name: 'a\n}", "can't be read"),
        ("resource a 'M.A/b@1' = {\n  name: 'c'\n}\nresource b 'M.A/b@1' existing = {\n  name: 'c'\n}",
         "b is looked up, and may be made in this file"),
    ],
)  # fmt: skip
def test_the_check_itself_finds_what_is_wrong(wrong: str, told: str, tmp_path: Path) -> None:
    for name in ("types.bicep", "vault.bicep"):
        shutil.copy(INFRA / "modules" / name, tmp_path)
    path = tmp_path / "wrong.bicep"
    path.write_text(wrong + "\n")
    assert told in "\n".join(problems(read(path)))


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_every_parameter_output_and_type_is_described(file: File) -> None:
    assert "metadata description = " in file.source.decode()
    for declared in (*file.params.values(), *file.outputs.values(), *file.types.values(), *file.functions.values()):
        assert declared.decorators.get("description"), f"{declared.name} has no @description"


@pytest.mark.parametrize("file", [file for file in FILES if file.types], ids=name_of)
def test_every_field_of_a_type_is_described(file: File) -> None:
    for name, declared in file.types.items():
        kinds = [node.type for node in declared.node.named_children]
        assert kinds.count("decorators") == kinds.count("object_property"), name


def test_every_module_is_used_and_nothing_else_lies_about() -> None:
    called = {(file.path.parent / module.type).resolve() for file in FILES for module in file.modules.values()}
    imported = {(file.path.parent / source).resolve() for file in FILES for source in file.imports.values()}
    files = {file.path.resolve() for file in FILES} - {(INFRA / entry).resolve() for entry in ENTRIES}
    assert called | imported == files


@pytest.mark.parametrize("path", PARAMETER_FILES, ids=lambda path: path.name)
def test_a_parameter_file_gives_what_main_asks_for_and_nothing_else(path: Path) -> None:
    file, main = read(path), read(INFRA / "main.bicep")
    needed = {n for n, param in main.params.items() if "required" in param.decorators and param.type[-1] != "?"}
    assert file.broken == []
    assert "using 'main.bicep'" in path.read_text()
    assert needed <= file.variables.keys() <= main.params.keys()


def test_the_examples_are_the_small_one_and_the_enterprise_one() -> None:
    assert [path.stem for path in PARAMETER_FILES] == ["enterprise", "small"]


def test_the_enterprise_example_shows_every_option_of_a_vault_and_of_a_network() -> None:
    types, text = read(INFRA / "modules/types.bicep"), (INFRA / "enterprise.bicepparam").read_text()
    for field in re.findall(r"^  (\w+): ", types.text(types.types["vaultType"].node), re.MULTILINE):
        assert field == "create" or f"    {field}: " in text, field
    for field in ("appSubnetId", "endpointSubnetId", "zones"):
        assert f"  {field}: " in text


def test_the_linter_is_strict() -> None:
    core = json.loads((INFRA / "bicepconfig.json").read_text())["analyzers"]["core"]
    assert core["enabled"] is True
    lax = {name for name, rule in core["rules"].items() if rule["level"] != "error"}
    assert lax == {"use-recent-module-versions", "what-if-short-circuiting"}  # both need the network


@pytest.mark.parametrize("path", sorted(INFRA.rglob("*.bicep*")), ids=lambda path: path.name)
def test_no_address_of_one_cloud_is_written_down(path: Path) -> None:
    if path.suffix == ".bicepparam":
        return  # an example deploys into one cloud
    for host in ("windows.net", "azure.com", "microsoftonline", "azure.net", "usgovcloudapi", "chinacloudapi"):
        code = [line for line in path.read_text().splitlines() if not re.match(r"\s*(//|@description|@sys)", line)]
        assert not [line for line in code if host in line], host
