"""The pipelines: valid by their published schemas, without logic of their own, and each step of theirs run."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.infra import pipelines
from tests.infra.pipelines import AZURE, WORKFLOWS, Agent, Step, azure_steps, azure_tasks, github_steps, read, valid
from tests.infra.shell import NAME, ROOT, Shell, package

pytestmark = pytest.mark.thorough

TEMPLATE = ROOT / "infra/pipelines/release.yml"
SCHEMAS = {
    **dict.fromkeys((AZURE, TEMPLATE), "vendor.azure-pipelines"),
    **dict.fromkeys(WORKFLOWS, "vendor.github-workflows"),
}
STAGES = {
    "azure staging": azure_steps("staging"),
    "azure production": azure_steps("production"),
    "github": github_steps(WORKFLOWS[1]),
}
BICEP = (ROOT / "infra/bicep.version").read_text().strip()
BUILD = [f"az bicep install --version v{BICEP}", ".ci/run", "make package"]


@pytest.mark.parametrize("file", SCHEMAS, ids=lambda file: str(file.relative_to(ROOT)))
def test_each_pipeline_is_valid_by_its_published_schema_and_a_broken_one_is_not(file: Path, tmp_path: Path) -> None:
    assert valid(file, SCHEMAS[file])
    broken = tmp_path / file.name
    wrong = {"steps:": "steps: 7 #", "jobs:": "jobs: 7 #"}
    text = file.read_text()
    for word, instead in wrong.items():
        text = re.sub(rf"^( *){word}$", rf"\g<1>{instead}", text, flags=re.MULTILINE)
    broken.write_text(re.sub(r"(: 7 #\n)(?: +.*\n|\n)+", r"\1", text))
    assert not valid(broken, SCHEMAS[file])


def test_every_action_is_pinned_to_a_commit_with_its_version_beside_it() -> None:
    used = [
        line for file in WORKFLOWS for line in file.read_text().splitlines() if re.match(r"\s*-? *uses: [^.]", line)
    ]
    assert len(used) >= 7
    for line in used:
        assert re.search(r"uses: [\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line), line


def test_the_workflows_hold_no_secret_and_log_in_by_oidc() -> None:
    for file in WORKFLOWS:
        assert "secrets." not in file.read_text()
        assert read(file)["permissions"] == {"contents": "read"}
    deploy = read(WORKFLOWS[1])["jobs"]["deploy"]
    assert deploy["permissions"] == {"contents": "read", "id-token": "write"}
    (login,) = [step for step in deploy["steps"] if step.get("uses", "").startswith("azure/login@")]
    assert set(login["with"]) == {"client-id", "tenant-id", "subscription-id"}


def test_production_comes_after_staging_and_behind_an_environment_in_both() -> None:
    build, staging, production = read(AZURE)["stages"]
    assert (staging["dependsOn"], production["dependsOn"]) == (build["stage"], staging["stage"])
    assert [stage["jobs"][0]["environment"] for stage in (staging, production)] == [
        "keyturn-staging",
        "keyturn-production",
    ]
    jobs = read(WORKFLOWS[0])["jobs"]
    assert (jobs["staging"]["needs"], jobs["production"]["needs"]) == (["build", "package"], "staging")
    assert [jobs[name]["with"]["environment"] for name in ("staging", "production")] == ["staging", "production"]
    assert read(WORKFLOWS[1])["jobs"]["deploy"]["environment"] == "${{ inputs.environment }}"


def test_the_package_is_built_where_nothing_else_was_installed_or_run() -> None:
    """What tests bring along can't change what is uploaded."""
    github = {
        job: [step["run"] for step in body.get("steps", []) if "run" in step]
        for job, body in read(WORKFLOWS[0])["jobs"].items()
    }
    azure = {
        job["job"]: [step["bash"] for step in job["steps"] if "bash" in step]
        for job in read(AZURE)["stages"][0]["jobs"]
    }
    for jobs in (github, azure):
        assert jobs["package"] == ["make package"]
        assert "make package" not in jobs["build"]
    made = re.search(r"^package:(.*)\n\t@(.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert made is not None
    assert ("$(READY)" in made[1], "$(BIN)" in made[2]) == (False, False)


def test_a_vault_is_read_narrowly_and_by_the_stages_own_connection() -> None:
    (task,) = [step for step in azure_tasks("production") if step.get("task") == "AzureKeyVault@2"]
    assert task["inputs"] == {
        "azureSubscription": "keyturn-production", "KeyVaultName": "$(pipelineVault)",
        "SecretsFilter": "keyturn-smoke-key", "RunAsPreJob": False,
    }  # fmt: skip
    for stage in ("staging", "production"):
        connections = {step["inputs"]["azureSubscription"] for step in azure_tasks(stage) if "AzureCLI" in str(step)}
        assert connections == {f"keyturn-{stage}"}


def every_step() -> list[Step]:
    azure = [step for stage in read(AZURE)["stages"] for step in azure_steps(stage["stage"])]
    return azure + [step for file in WORKFLOWS for step in github_steps(file)]


def test_a_step_is_one_command_without_logic() -> None:
    for step in every_step():
        assert not re.search(r"[;|&`\n]|\bif\b|\bfor\b", step.command.rstrip()), step.command


def test_the_build_runs_what_a_workstation_runs_and_all_else_is_run_below() -> None:
    below = [step for steps in STAGES.values() for step in steps]
    assert len(below) == 9
    build = [step.command for step in [*azure_steps("build"), *github_steps(WORKFLOWS[0])]]
    assert build == [*BUILD, *BUILD]
    assert len(every_step()) == len(below) + len(build)
    assert (ROOT / ".ci/run").stat().st_mode & 0o100


@pytest.fixture
def agent(shell: Shell) -> Agent:
    common = {"clientId": "", "location": "westeurope", "smokeSecret": "kv-orders-prod/orders-db"}
    files = {"parametersFile": "infra/small.bicepparam", "Agent.TempDirectory": str(shell.home)}
    github = {
        "KEYTURN_NAME": NAME, "LOCATION": "westeurope", "PARAMETERS": "infra/small.bicepparam", "HTTP_AUTH": "key",
        "KEYTURN_CLIENT_ID": "", "SMOKE_SECRET": "kv-orders-prod/orders-db",
    }  # fmt: skip
    more = {"Pipeline.Workspace": str(shell.home), "keyturn-smoke-key": "the-function-key", "httpAuth": "key"}
    ready = Agent(shell, {**common, **files, **github, **more, "keyturnName": NAME})
    ready.prepare()
    ready.hand_over(shell.package)
    return ready


def names(ran: list[tuple[Step, Any]]) -> list[tuple[str, int]]:
    return [(step.name.split(",")[0], done.returncode) for step, done in ran]


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_deploys_tries_and_where_that_fails_goes_back(agent: Agent, stage: str) -> None:
    steps = STAGES[stage]
    first = agent.run_all(steps)
    assert names(first) == [("Keep the package that runs now", 0), ("Deploy", 0)], [done.stderr for _, done in first]
    assert "a rotation of kv-orders-prod/orders-db would be: planned" in first[1][1].stdout

    agent.hand_over(package(agent.shell.home / "next.zip", "bbbbbbbbbbbb"))
    agent.shell.change(plan="denied")
    second = agent.run_all(steps)
    assert names(second) == [
        ("Keep the package that runs now", 0),
        ("Deploy", 1),
        ("Go back to the package before", 0),
    ], [done.stderr for _, done in second]
    assert "a rotation of kv-orders-prod/orders-db can't be planned" in second[1][1].stderr
    running = Path(agent.shell.cloud["package"]).read_bytes()
    assert running == agent.shell.package.read_bytes()
    output = "".join(done.stdout + done.stderr for _, done in first + second)
    assert "the-function-key" not in output


@pytest.mark.parametrize("stage", STAGES)
def test_a_blank_variable_swallows_no_option(agent: Agent, stage: str) -> None:
    """The client's id is blank with function keys: the option after it is read all the same."""
    assert agent.variables["clientId"] == ""
    (step,) = [step for step in STAGES[stage] if step.name.startswith("Deploy")]
    done = Agent(agent.shell, {**agent.variables, "smokeSecret": "", "SMOKE_SECRET": ""}).run(step)
    assert (done.returncode, "no secret was named" in done.stdout) == (0, True), done.stderr


@pytest.mark.parametrize("stage", ["staging", "production"])
def test_the_login_of_azure_devops_is_kept_alive_where_it_takes_long(stage: str) -> None:
    """A federated assertion ends after minutes: Azure/login, issue 372; AzureCLIV2/task.json."""
    tasks = {
        task["displayName"].split(",")[0]: task["inputs"] for task in azure_tasks(stage) if "AzureCLI" in str(task)
    }
    assert {name for name, inputs in tasks.items() if inputs.get("keepAzSessionActive")} == {
        "Deploy", "Go back to the package before",
    }  # fmt: skip


def test_a_first_deployment_that_fails_says_that_there_is_nothing_to_go_back_to(agent: Agent) -> None:
    agent.shell.change(plan="denied")
    ran = agent.run_all(pipelines.azure_steps("staging"))
    assert [code for _, code in names(ran)] == [0, 1, 1]
    assert "there is no earlier package to go back to" in ran[2][1].stderr
