"""Azure's own compiler, Bicep, and what it makes of infra/: findings, templates, parameters, snapshots.

`python -m tests.infra.compiled` compiles, lints and previews all of infra/, and ends with 1 where there is anything to
say, be it a warning; `… snapshots` writes the previews anew. Nothing is installed. The compiler is found by BICEP, on
PATH, where `az bicep install` puts it (azure-cli, command_modules/resource/_bicep.py), or in shared/tools beside the
checkout; the first of these that is the version in infra/bicep.version wins, except that BICEP always does.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
INFRA = ROOT / "infra"
CACHE = ROOT / ".cache/bicep"
VERSION = (INFRA / "bicep.version").read_text().strip()
TEMPLATES = ("main.bicep", "subscription.bicep")
EXAMPLES = ("small", "enterprise")
PREVIEWS = (*EXAMPLES, "checked/made", "checked/events")
CLIENT = "44444444-4444-4444-4444-444444444444"
TENANT = "00000000-0000-0000-0000-00000000000f"
SUBSCRIPTION = "00000000-0000-0000-0000-00000000000a"
SUBSCRIPTIONS = {"enterprise": "22222222-2222-2222-2222-222222222222"}  # the one that its own ids are in
ANSWERS = (0, 1)  # all else is no answer, such as that of a run that was killed: it is not kept
NONE = "there is no Bicep compiler here: `az bicep install`, or name one by BICEP"


@cache
def compiler() -> Path | None:
    """The program; None where there is none.

    Raises:
        RuntimeError: BICEP names what is no program.
    """
    if named := os.environ.get("BICEP"):
        if not os.access(named, os.X_OK):
            raise RuntimeError(f"BICEP is {named}, and that is no program")
        return Path(named)
    azure = Path(os.environ.get("AZURE_CONFIG_DIR") or Path.home() / ".azure") / "bin/bicep"
    on_path = shutil.which("bicep")
    places = [Path(on_path)] if on_path else []
    found = [place for place in (*places, azure, ROOT.parent / "shared/tools/bicep") if os.access(place, os.X_OK)]
    return next((place for place in found if version(place) == VERSION), found[0] if found else None)


@cache
def version(program: Path) -> str:
    """Such as 0.49.2; nothing where it does not say. Each process of a script under test asks: it is asked once."""
    stat = program.resolve().stat()
    same = hashlib.sha256(f"{program.resolve()} {stat.st_mtime_ns} {stat.st_size}".encode()).hexdigest()[:16]
    kept = CACHE / f"version-{same}"
    if not kept.is_file():
        done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
        found = re.search(r"\d+\.\d+\.\d+", done.stdout)
        if found is None:
            return ""
        _keep(kept, found[0])
    return kept.read_text()


@dataclass(frozen=True, slots=True)
class Told:
    """What the compiler said. findings: a line each, whatever their level; paths count from the folder."""

    code: int
    out: str
    findings: list[str]


@dataclass(frozen=True, slots=True)
class Infra:
    """A folder of templates: ours, or a copy with a fault in it."""

    folder: Path = INFRA

    def findings(self) -> list[str]:
        """What compiling, linting and previewing everything gives to say, each once."""
        asked = [self.told(command, name) for command in ("build", "lint") for name in TEMPLATES]
        asked += [self.told("build-params", f"{name}.bicepparam") for name in PREVIEWS]
        return list(dict.fromkeys(line for told in asked for line in told.findings)) or self.drift()

    def template(self, name: str = "main.bicep") -> Any:
        """The compiled template."""
        return self._sound("build", name)

    def parameters(self, name: str, overrides: Mapping[str, Any] | None = None) -> Any:
        """The values of a parameter file, with those of a command line, as `az deployment` sends them."""
        more = {"BICEP_PARAMETERS_OVERRIDES": json.dumps(overrides)} if overrides else {}
        return json.loads(self._sound("build-params", name, **more)["parametersJson"])["parameters"]

    def drift(self) -> list[str]:
        """Where what would be deployed is not what the kept snapshots show."""
        told = [self.told("snapshot", f"{name}.bicepparam", *where(name)) for name in PREVIEWS]
        return [line for one in told for line in one.findings]

    def snapshot(self, name: str) -> Any:
        """The kept preview of an example. `findings` holds it against the templates."""
        return json.loads((self.folder / f"{name}.snapshot.json").read_text())

    def preview(self, name: str) -> None:
        """Write an example's preview anew, in an order of its own: the compiler's varies from run to run."""
        done = self.told("snapshot", f"{name}.bicepparam", *where(name, "overwrite"))
        if done.code:
            raise RuntimeError("\n".join(done.findings))
        file = self.folder / f"{name}.snapshot.json"
        found = json.loads(file.read_text())
        found["outputs"] = dict(sorted(found["outputs"].items()))
        file.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n")

    def told(self, command: str, name: str, *options: str, **environment: str) -> Told:
        """Run it once for the same bytes."""
        program = compiler()
        if program is None:
            raise RuntimeError(NONE)
        out = ["--stdout"] if command.startswith("build") else []
        arguments = [command, name, *out, *options]
        kept = CACHE / f"{self._digest(program, [*arguments, *environment.values()])}.json"
        if not kept.is_file() or "overwrite" in options:
            done = subprocess.run(
                [program, *arguments], cwd=self.folder, capture_output=True, text=True, check=False, timeout=300,
                env={**os.environ, "KEYTURN_CLIENT_ID": CLIENT, **environment},
            )  # fmt: skip
            if done.returncode not in ANSWERS:
                raise RuntimeError(f"{program} ended with {done.returncode}: {done.stderr.strip()}")
            said = done.stderr if out else done.stderr + done.stdout
            lines = [line.replace(f"{self.folder.resolve()}/", "") for line in said.splitlines() if line.strip()]
            _keep(kept, json.dumps([done.returncode, done.stdout, lines]))
        return Told(*json.loads(kept.read_text()))

    def _sound(self, command: str, name: str, **environment: str) -> Any:
        told = self.told(command, name, **environment)
        if told.code:
            raise RuntimeError("\n".join(told.findings))
        return json.loads(told.out)

    def _digest(self, program: Path, asked: list[str]) -> str:
        content = hashlib.sha256("\0".join([version(program), CLIENT, *asked]).encode())
        for path in sorted(self._sources()):
            content.update(b"\0" + path.relative_to(self.folder).as_posix().encode() + b"\0" + path.read_bytes())
        return content.hexdigest()

    def _sources(self) -> Iterator[Path]:
        for suffix in ("bicep", "bicepparam", "json", "kql"):
            yield from self.folder.rglob(f"*.{suffix}")


def _keep(kept: Path, text: str) -> None:
    """Whole or not at all: several processes come at once."""
    kept.parent.mkdir(parents=True, exist_ok=True)
    half = kept.with_suffix(f".{os.getpid()}")
    half.write_text(text)
    half.replace(kept)


def where(name: str, mode: str = "validate") -> tuple[str, ...]:
    """The options of `snapshot` for a parameter file."""
    subscription = SUBSCRIPTIONS.get(name, SUBSCRIPTION)
    return ("--mode", mode, "--tenant-id", TENANT, "--subscription-id", subscription, "--location", "westeurope")


def main(arguments: list[str]) -> int:
    """0: nothing to say; 1: what there is to say, on standard error."""
    program = compiler()
    if program is None:
        sys.stderr.write(f"bicep: {NONE}\n")
        return 1
    infra = Infra()
    if arguments == ["snapshots"]:
        for name in PREVIEWS:
            infra.preview(name)
    findings = infra.findings()
    for line in findings:
        sys.stderr.write(f"{line}\n")
    files = f"{len(TEMPLATES)} templates and {len(PREVIEWS)} parameter files"
    sys.stdout.write(f"bicep: {program} {version(program)}, {files}, {len(findings)} findings\n")
    for name in () if findings else PREVIEWS:
        sys.stdout.write(f"bicep: {name}: {len(infra.snapshot(name)['predictedResources'])} resources\n")
    if version(program) != VERSION:
        sys.stderr.write(f"bicep: CI compiles with {VERSION}: `az bicep install --version v{VERSION}`\n")
        return 1
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
