"""Drivers that are no Python packages, each asked in a process of its own what it reads in a connection string.

node-postgres comes from npm, pgJDBC from Debian; nothing is opened, and no environment variable of theirs is set.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

from local.npm import CACHE, Missing, set_up
from tests.vectors import Reading

HERE = Path(__file__).parent
PGJDBC = Path("/usr/share/java/postgresql.jar")


class Driver:
    """One reader: a process that is handed a string a line, in base64, and answers with a line of JSON."""

    def __init__(self, command: list[str], folder: Path) -> None:
        self._process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            env={"PATH": os.environ["PATH"], "HOME": str(folder), "USER": "osuser"},
        )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()

    def read(self, text: str) -> Reading | None:
        """What it reads; None where it refuses the string."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(base64.b64encode(text.encode()).decode() + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the driver's process ended"
        answer = json.loads(line)
        if answer is None:
            return None
        hosts, user, password, database = answer
        return Reading(tuple((host, port) for host, port in hosts), user, password, database)


def node_postgres() -> Driver:
    """node-postgres, by what its connections are made of.

    Raises:
        Missing: says how to have it.
    """
    place = set_up("node-postgres", HERE / "node", "node-postgres")
    shutil.copy(HERE / "node" / "read.js", place / "read.js")
    return Driver(["node", "read.js"], place)


def pgjdbc() -> Driver:
    """pgJDBC, by `Driver.parseURL`.

    Raises:
        Missing: says how to have it.
    """
    if not PGJDBC.exists() or shutil.which("javac") is None:
        raise Missing("pgJDBC is not here; on Debian: apt-get install libpostgresql-jdbc-java default-jdk-headless")
    place = CACHE / "pgjdbc"
    place.mkdir(parents=True, exist_ok=True)
    return Driver(["java", "-cp", str(PGJDBC), str(HERE / "java" / "Read.java")], place)
