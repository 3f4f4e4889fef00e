"""What is installed: the library alone, and nothing of Azure until a secret is read."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WRAPPERS = [ROOT / "keyturn" / f"{name}.py" for name in ("psycopg", "sqlalchemy", "redis", "azure")]
TYPED = """
from typing import assert_type

from psycopg_pool import AsyncConnectionPool, ConnectionPool
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import create_async_engine
from azure.storage.blob import BlobServiceClient

from keyturn import AsyncRotatingSecret, RotatingSecret, require
from keyturn.azure import RotatingNamedKey, storage_client
from keyturn.psycopg import async_connection_class, connection_class
from keyturn.sqlalchemy import log_in_with

secret = RotatingSecret("https://kv.vault.azure.net/secrets/x")
later = AsyncRotatingSecret("https://kv.vault.azure.net/secrets/x")
assert_type(secret.value, str)
assert_type(secret.other_than("x"), str)
assert_type(secret.accepted, tuple[str, ...])
assert_type(require("x", vault="https://kv.vault.azure.net"), dict[str, RotatingSecret])
assert_type(secret.log_in(len, lambda error: "refused" in str(error)), int)
pool = ConnectionPool(connection_class=connection_class(secret))
other = AsyncConnectionPool(connection_class=async_connection_class(later))
engine = create_engine("postgresql+psycopg://")
log_in_with(engine, secret)
log_in_with(create_async_engine("postgresql+asyncpg://"), later)
assert_type(storage_client(BlobServiceClient, secret), BlobServiceClient)
RotatingNamedKey(secret)
"""


def python(program: str, executable: str = sys.executable, cwd: Path = ROOT) -> str:
    command = [executable, "-W", "error", "-c", program]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=True, timeout=120).stdout


def test_nothing_of_azure_is_imported_before_a_secret_is_read() -> None:
    told = python(
        "import sys, keyturn; keyturn.RotatingSecret('https://kv.vault.azure.net/secrets/x');"
        "heavy = {'azure', 'aiohttp', 'requests', 'msal', 'rotation', 'handlers'};"
        "print([name for name in sys.modules if name.split('.')[0] in heavy])"
    )
    assert told == "[]\n"


@pytest.mark.parametrize("client", ["psycopg", "sqlalchemy", "redis", "azure"])
def test_only_the_wrapper_that_is_imported_imports_its_client(client: str) -> None:
    told = python(
        "import sys, keyturn; before = set(sys.modules);"
        f"import keyturn.{client}; clients = {{'psycopg', 'sqlalchemy', 'redis', 'azure'}};"
        "print(sorted({name.split('.')[0] for name in sys.modules} & clients),"
        " sorted({name.split('.')[0] for name in before} & clients))"
    )
    assert told == f"[{client!r}] []\n"


def test_each_client_of_a_wrapper_is_an_extra() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    asked = set(re.findall(r"\[(\w+(?:,\w+)*)\]", " ".join(path.read_text("utf-8") for path in WRAPPERS)))
    named = {extra for one in asked for extra in one.split(",")} & {
        "psycopg",
        "sqlalchemy",
        "redis",
        "storage",
        "servicebus",
    }
    assert named == {"psycopg", "sqlalchemy", "redis", "storage", "servicebus"}
    assert named < set(extras)


@pytest.mark.thorough
def test_types_are_complete_for_a_strict_application(tmp_path: Path) -> None:
    right = tmp_path / "right.py"
    right.write_text(TYPED, "utf-8")
    wrong = tmp_path / "wrong.py"
    wrong.write_text(f"{TYPED}\nsecret.value + 1\nlog_in_with(engine, later)\n", "utf-8")
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", f"--cache-dir={tmp_path}"]
    for path, errors in ((right, 0), (wrong, 2)):
        told = subprocess.run([*command, path], cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
        assert told.stdout.count(": error:") == errors, told.stdout + told.stderr


@pytest.mark.thorough
def test_pip_installs_the_library_without_what_the_service_needs(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True, timeout=120)
    executable = str(tmp_path / "venv" / "bin" / "python")
    source = tmp_path / "source"
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        (source / name).parent.mkdir(exist_ok=True)
        (source / name).write_bytes((ROOT / name).read_bytes())
    shutil.copytree(ROOT / "keyturn", source / "keyturn", ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run([executable, "-m", "pip", "install", "-q", str(source)], check=True, timeout=300, cwd=tmp_path)
    told = python(
        "import keyturn, pathlib; print(pathlib.Path(keyturn.__file__).with_name('py.typed').is_file())",
        executable,
        tmp_path,
    )
    assert told == "True\n"
    listed = subprocess.run(
        [executable, "-m", "pip", "list", "--format", "freeze"], capture_output=True, text=True, check=True, timeout=60
    ).stdout.lower()
    assert "azure-keyvault-secrets" in listed
    assert not [
        name
        for name in ("psycopg", "sqlalchemy", "redis", "azure-functions", "azure-storage", "opentelemetry")
        if name in listed
    ]
    script = tmp_path / "venv" / "bin" / "keyturn"
    without = subprocess.run([script, "--help"], capture_output=True, text=True, check=False, timeout=60)
    assert (without.returncode, without.stderr) == (1, 'keyturn: click is not installed: pip install "keyturn[cli]"\n')
    subprocess.run([executable, "-m", "pip", "install", "-q", f"{source}[cli]"], check=True, timeout=300, cwd=tmp_path)
    version = [str(script), "--version"]
    with_it = subprocess.run(version, capture_output=True, text=True, check=True, timeout=60, cwd=tmp_path)
    assert with_it.stdout == "keyturn 0.1.0\n"
