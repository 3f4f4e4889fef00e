"""examples/azure-pipelines.yml: valid by the schema, reads by exact names, and copies no secret into a setting.

Inputs of AzureKeyVault@2: learn.microsoft.com/azure/devops/pipelines/tasks/reference/azure-key-vault-v2. References:
learn.microsoft.com/azure/app-service/app-service-key-vault-references.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.infra.pipelines import azure_tasks, read, steps_of, valid

FILE = Path(__file__).parents[2] / "examples" / "azure-pipelines.yml"
DOC = FILE.parents[1] / "docs" / "consumers.md"
STAGES: list[Any] = read(FILE)["stages"]
DEPLOYED = ("staging", "production")
REFERENCE = re.compile(r"@Microsoft\.KeyVault\(VaultName=(kv-[a-z-]+);SecretName=([a-z-]+)\)")


def steps(stage: str) -> list[Any]:
    (found,) = [one for one in STAGES if one["stage"] == stage]
    return [step for job in found["jobs"] for step in steps_of(job)]


def tasks(stage: str, task: str) -> list[Any]:
    return [step["inputs"] for step in steps(stage) if step.get("task") == task]


def settings(stage: str) -> Iterator[Any]:
    (inputs,) = tasks(stage, "AzureAppServiceSettings@1")
    yield from json.loads(inputs["appSettings"])


def test_it_is_valid_by_the_published_schema() -> None:
    assert valid(FILE, "vendor.azure-pipelines")


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("SecretsFilter:", "SecretFilter:"),
        ("KeyVaultName: kv-orders-test", "# "),
        ("appSettings:", "settings:"),
        ("appType: webAppLinux", "appType: linux"),
    ],
)
def test_an_input_that_a_task_does_not_have_or_that_is_missing_is_noticed(
    right: str, wrong: str, tmp_path: Path
) -> None:
    broken = tmp_path / FILE.name
    text = FILE.read_text()
    assert right in text
    broken.write_text(text.replace(right, wrong))
    assert not valid(broken, "vendor.azure-pipelines")


def test_the_vault_is_read_by_the_inputs_that_our_own_pipeline_uses_and_by_exact_names() -> None:
    (ours,) = [step["inputs"] for step in azure_tasks("production") if step.get("task") == "AzureKeyVault@2"]
    [(stage, inputs)] = [(one["stage"], inputs) for one in STAGES for inputs in tasks(one["stage"], "AzureKeyVault@2")]
    assert set(inputs) == set(ours)
    assert (stage, inputs["RunAsPreJob"]) == ("test", False)
    assert re.fullmatch(r"[a-z-]+(,[a-z-]+)*", inputs["SecretsFilter"])


def test_each_secret_that_is_read_reaches_one_script_as_the_variable_that_require_would_name() -> None:
    (inputs,) = tasks("test", "AzureKeyVault@2")
    names = inputs["SecretsFilter"].split(",")
    given = [step["env"] for step in steps("test") if "env" in step]
    assert given == [{name.upper().replace("-", "_"): f"$({name})" for name in names}]


@pytest.mark.parametrize("stage", DEPLOYED)
def test_a_deployed_setting_is_a_reference_to_the_newest_version_and_no_copy(stage: str) -> None:
    (inputs,) = tasks("test", "AzureKeyVault@2")
    found = {one["name"]: REFERENCE.fullmatch(one["value"]) for one in settings(stage)}
    assert {name: match[2] for name, match in found.items() if match} == {
        name.upper().replace("-", "_"): name for name in inputs["SecretsFilter"].split(",")
    }
    assert None not in found.values()
    assert tasks(stage, "AzureKeyVault@2") == []


def test_each_stage_has_a_connection_and_a_vault_of_its_own() -> None:
    connections = [{inputs["azureSubscription"] for inputs in stage_inputs(stage["stage"])} for stage in STAGES]
    assert [len(one) for one in connections] == [1, 1, 1]
    assert len(set.union(*connections)) == 3
    vaults = {match[1] for stage in DEPLOYED for match in REFERENCE.finditer(json.dumps(list(settings(stage))))}
    assert len(vaults) == 2


def stage_inputs(stage: str) -> list[Any]:
    return [step["inputs"] for step in steps(stage) if "azureSubscription" in step.get("inputs", {})]


@pytest.mark.parametrize("stage", DEPLOYED)
def test_what_is_deployed_is_what_was_tested_and_the_settings_come_first(stage: str) -> None:
    names = [step.get("task") for step in steps(stage)]
    assert names.index("AzureAppServiceSettings@1") < names.index("AzureWebApp@1")
    (published,) = [step for step in steps("test") if "publish" in step]
    (deployed,) = tasks(stage, "AzureWebApp@1")
    assert deployed["package"] == f"$(Pipeline.Workspace)/{published['artifact']}/{published['publish']}"


def test_production_comes_after_staging_which_comes_after_the_tests_each_behind_an_environment() -> None:
    test, staging, production = STAGES
    assert (staging["dependsOn"], production["dependsOn"]) == (test["stage"], staging["stage"])
    assert [stage["jobs"][0]["environment"] for stage in (staging, production)] == [
        "orders-staging",
        "orders-production",
    ]
    for stage in (staging, production):
        assert "refs/heads/main" in stage["condition"]


def test_the_page_for_applications_leads_to_it() -> None:
    assert "(../examples/azure-pipelines.yml)" in DOC.read_text()
