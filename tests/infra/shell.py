"""Runs the scripts of infra/ as an operator or a pipeline does, with stand-ins for az and for the deployed app."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from local.certificates import ensure
from tests.infra.az.vaults import vault
from tests.infra.site import served

Done = subprocess.CompletedProcess[str]
ROOT = Path(__file__).parents[2]
NAME = "keyturn-test"
EMPTY = {
    "logged_in": True, "apps": {}, "sps": [], "deployments": {}, "resources": {}, "assignments": [], "roles": [],
    "role_holders": [],
    "vaults": {"kv-orders-prod": vault("kv-orders-prod")}, "deleted_vaults": [], "topics": {},
    "event_subscriptions": {}, "diagnostics": {}, "function_key": "the-function-key",
}  # fmt: skip
POLICY = """\
[[rule]]
vaults = ["kv-orders-prod"]
secrets = ["orders-*"]
rotators = ["generated"]
max-validity-days = 90
"""
READ_ONLY = (
    "show",
    "list",
    "version",
    "get-access-token",
    "what-if",
    "exists",
    "download",
    "build",
    "build-params",
    "list-deleted",
)


class Shell:
    """One operator's machine and the cloud that it sees. Each test has its own."""

    def __init__(self, home: Path, host: str, trusted: Path) -> None:
        self.home = home
        self.change(**EMPTY, host=host)
        bin_folder = home / "bin"
        bin_folder.mkdir()
        libraries = os.pathsep.join([str(ROOT), *(path for path in sys.path if path.endswith("site-packages"))])
        az = bin_folder / "az"
        az.write_text(f'#!/bin/sh\nPYTHONPATH="{libraries}" exec "{sys.executable}" -S -m tests.infra.az "$@"\n')
        az.chmod(0o755)
        self.environment = {
            "PATH": f"{bin_folder}:/usr/local/bin:/usr/bin:/bin", "HOME": str(home), "FAKE_AZ": str(home),
            "LANG": "C.UTF-8", "PYTHON": sys.executable,
            "CURL_CA_BUNDLE": str(trusted), "KEYTURN_PAUSE_S": "0", "KEYTURN_TRIES": "4",
        }  # fmt: skip
        self.package = package(home / "keyturn.zip", "aaaaaaaaaaaa")
        self.parameters = ROOT / "infra/small.bicepparam"

    def run(self, script: str, *arguments: str | Path, typed: str = "", **more: str) -> Done:
        """A script of infra/, from another folder than the checkout."""
        return subprocess.run(
            ["bash", ROOT / "infra" / script, *arguments], env={**self.environment, **more}, cwd=self.home, input=typed,
            capture_output=True, text=True, check=False, timeout=280,
        )  # fmt: skip

    def altered(self, text: str, instead: str) -> Path:
        """The small example, beside templates of its own, with `instead` in place of `text`."""
        infra = self.home / "infra"
        shutil.copytree(ROOT / "infra", infra, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
        file = infra / "my.bicepparam"
        kept = (infra / "small.bicepparam").read_text()
        assert text in kept
        file.write_text(kept.replace(text, instead))
        return file

    def deploy(self, *more: str | Path) -> Done:
        return self.run(
            "deploy.sh", "--name", NAME, "--location", "westeurope", "--parameters", self.parameters,
            "--package", self.package, *more,
        )  # fmt: skip

    def deployed(self, *more: str | Path) -> Done:
        done = self.deploy(*more)
        assert done.returncode == 0, done.stderr
        return done

    @property
    def cloud(self) -> Any:
        return json.loads((self.home / "cloud.json").read_text())

    def change(self, **fields: Any) -> None:
        """Change the cloud behind the scripts' back."""
        file = self.home / "cloud.json"
        file.write_text(json.dumps({**(json.loads(file.read_text()) if file.exists() else {}), **fields}))

    @property
    def calls(self) -> list[str]:
        """What az was asked, a line each: the command's words alone."""
        file = self.home / "calls.jsonl"
        lines = file.read_text().splitlines() if file.exists() else []
        return [" ".join(words(json.loads(line))) for line in lines]

    @property
    def arguments(self) -> list[list[str]]:
        return [json.loads(line) for line in (self.home / "calls.jsonl").read_text().splitlines()]

    def passed(self, parameter: str) -> Any:
        """The value of a parameter of the last deployment of the infrastructure, as az was given it."""
        return self.cloud["deployments"][f"keyturn-{NAME}"]["properties"]["parameters"][parameter]["value"]

    @property
    def changing_calls(self) -> list[str]:
        """The calls that could change something."""
        found = []
        for call in self.arguments:
            command = words(call)
            get = command == ["rest"] and call[call.index("--method") + 1] == "get"
            keys = command == ["rest"] and any("listKeys" in argument for argument in call)
            if not (command[-1] in READ_ONLY or get or keys):
                found.append(" ".join(command))
        return found


def words(call: list[str]) -> list[str]:
    first_option = next((index for index, argument in enumerate(call) if argument.startswith("-")), len(call))
    return call[:first_option]


def package(target: Path, number: str, policy: str = POLICY) -> Path:
    """A package as far as the scripts look into it."""
    with zipfile.ZipFile(target, "w") as out:
        out.writestr("package.txt", f"{number}\n")
        out.writestr("policy.toml", policy)
    return target


@contextmanager
def shell(home: Path) -> Iterator[Shell]:
    certificates = ensure(home / "tls")
    with served(home, certificates) as host:
        yield Shell(home, host, certificates.ca)
