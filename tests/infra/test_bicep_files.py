"""Every Bicep file: described, used, strict, and without one cloud's addresses."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.infra.compiled import EXAMPLES, INFRA, PREVIEWS, TEMPLATES, Infra

FILES = sorted(INFRA.rglob("*.bicep"))


def templates(compiled: Any) -> Iterator[Any]:
    """A compiled template, and those of the modules in it, however deep."""
    yield compiled
    resources = compiled["resources"]
    for one in resources.values() if isinstance(resources, dict) else resources:
        if one["type"] == "Microsoft.Resources/deployments":
            yield from templates(one["properties"]["template"])


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_parameter_output_and_type_is_described(name: str) -> None:
    for template in templates(Infra().template(name)):
        assert template["metadata"]["description"]
        for kind in ("parameters", "outputs", "definitions"):
            for called, one in template.get(kind, {}).items():
                assert one["metadata"]["description"], called
                for field, of_it in one.get("properties", {}).items():
                    assert of_it["metadata"]["description"], f"{called}.{field}"


def test_every_module_is_used_and_nothing_else_lies_about() -> None:
    used = {INFRA / name for name in TEMPLATES}
    for file in FILES:
        called = re.findall(r"^(?:module \w+|import \{.*\} from) '(.+)'", file.read_text(), re.MULTILINE)
        used |= {(file.parent / name).resolve() for name in called}
    assert used == {*FILES, *(INFRA / "modules").glob("*.json")}


def test_the_examples_are_the_small_one_and_the_enterprise_one() -> None:
    assert sorted(path.stem for path in INFRA.glob("*.bicepparam")) == sorted(EXAMPLES)
    kept = {path.relative_to(INFRA).as_posix().removesuffix(".bicepparam") for path in INFRA.rglob("*.bicepparam")}
    assert kept == set(PREVIEWS), "each parameter file has its preview"


def test_the_enterprise_example_shows_every_option_of_a_vault_and_of_a_network() -> None:
    types, given = Infra().template()["definitions"], Infra().parameters("enterprise.bicepparam")
    (vault,) = [one for name, one in types.items() if name.endswith("vaultType")]
    shown = {field for one in given["vaults"]["value"] for field in one}
    assert shown == vault["properties"].keys() - {"create"}
    (network,) = [one for name, one in types.items() if name.endswith("networkType")]
    assert given["network"]["value"].keys() == network["properties"].keys() - {"addressPrefix"}  # of one that is made


def test_the_linter_is_strict_and_stops_nobody_who_deploys() -> None:
    core = json.loads((INFRA / "bicepconfig.json").read_text())["analyzers"]["core"]
    assert core["enabled"] is True
    assert {rule["level"] for rule in core["rules"].values()} == {"warning"}  # which CI takes for an error


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_address_of_one_cloud_is_written_down(path: Path) -> None:
    for host in ("windows.net", "azure.com", "microsoftonline", "azure.net", "usgovcloudapi", "chinacloudapi"):
        code = [line for line in path.read_text().splitlines() if not re.match(r"\s*(//|@description|@sys)", line)]
        assert not [line for line in code if host in line], host
