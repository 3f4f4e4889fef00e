"""Reads both pipelines as far as it takes to run each of their script steps on this machine, in their order."""

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.infra.shell import ROOT, Done, Shell

AZURE = ROOT / "azure-pipelines.yml"
WORKFLOWS = (ROOT / ".github/workflows/release.yml", ROOT / ".github/workflows/deploy.yml")


@dataclass(frozen=True, slots=True)
class Step:
    """One script step: its command as it is written, its own environment, and whether it runs after a failure only."""

    job: str
    name: str
    command: str
    environment: Mapping[str, str]
    after_failure: bool


def read(file: Path) -> Any:
    return yaml.safe_load(file.read_text())


def valid(file: Path, schema: str) -> bool:
    """By its published schema, as check-jsonschema brings it along."""
    # The schema of Azure Pipelines has patterns that are no Unicode ones.
    lenient = ["--regex-variant", "nonunicode"] if "azure" in schema else []
    command: list[str | Path] = [
        Path(sys.executable).parent / "check-jsonschema",
        "--builtin-schema",
        schema,
        *lenient,
        file,
    ]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def azure_tasks(stage: str) -> Iterator[Any]:
    """The steps of one stage, those of its templates included."""
    (found,) = [one for one in read(AZURE)["stages"] if one["stage"] == stage]
    steps = [step for job in found["jobs"] for step in steps_of(job)]
    for step in steps:
        if "template" not in step:
            yield step
            continue
        text = (ROOT / step["template"]).read_text()
        for name, value in step["parameters"].items():
            text = text.replace("${{ parameters." + name + " }}", value)
        yield from yaml.safe_load(text)["steps"]


def steps_of(job: Any) -> Any:
    """Of a plain job or a deployment."""
    return job["strategy"]["runOnce"]["deploy"]["steps"] if "deployment" in job else job["steps"]


def azure_steps(stage: str) -> list[Step]:
    found = []
    for step in azure_tasks(stage):
        inputs = step.get("inputs", {})
        if step.get("task") == "AzureCLI@2":
            command = inputs.get("inlineScript") or f"bash {inputs['scriptPath']} {inputs['arguments']}"
        elif "bash" in step or "script" in step:
            command = step.get("bash") or step["script"]
        else:
            continue
        failed = step.get("condition") == "failed()"
        found.append(Step(stage, step.get("displayName", ""), command, step.get("env", {}), failed))
    return found


def github_steps(file: Path) -> list[Step]:
    return [
        Step(job, step.get("name", ""), step["run"], body.get("env", {}), "failure()" in str(step.get("if", "")))
        for job, body in read(file)["jobs"].items()
        for step in body.get("steps", [])
        if "run" in step
    ]


@dataclass(frozen=True, slots=True)
class Agent:
    """A machine that runs steps in a checkout, with the package that the build left."""

    shell: Shell
    variables: Mapping[str, str]

    @property
    def checkout(self) -> Path:
        return self.shell.home / "checkout"

    def prepare(self) -> None:
        """A checkout without a build of its own: what is uploaded is what the build handed over."""
        self.checkout.mkdir()
        for name in ("infra", "rotation", "handlers", "app", "policy.toml"):
            (self.checkout / name).symlink_to(ROOT / name)
        for folder in (self.checkout / "dist", self.shell.home / "package"):
            folder.mkdir(exist_ok=True)

    def hand_over(self, package: Path) -> None:
        for folder in (self.checkout / "dist", self.shell.home / "package"):
            (folder / "keyturn.zip").write_bytes(package.read_bytes())

    def run_all(self, steps: list[Step]) -> list[tuple[Step, Done]]:
        """Each step whose turn it is, as an agent does: after a failure only those that are for it."""
        ran: list[tuple[Step, Done]] = []
        failed = False
        for step in steps:
            if step.after_failure == failed:
                done = self.run(step)
                ran.append((step, done))
                failed = failed or done.returncode != 0
        return ran

    def run(self, step: Step) -> Done:
        environment = {name: self.replaced(value) for name, value in step.environment.items()}
        return subprocess.run(
            ["bash", "-e", "-c", self.replaced(step.command)],
            env={**self.shell.environment, "RUNNER_TEMP": str(self.shell.home), **environment},
            cwd=self.checkout, capture_output=True, text=True, check=False, timeout=280,
        )  # fmt: skip

    def replaced(self, text: str) -> str:
        """`$(name)` of Azure Pipelines and `${{ vars.NAME }}` of GitHub, as they do it: each known, none in quotes."""

        def value(match: re.Match[str]) -> str:
            return self.variables[match[1] or match[2]]

        return re.sub(r"\$\(([\w.-]+)\)|\$\{\{ vars\.(\w+) \}\}", value, text)
