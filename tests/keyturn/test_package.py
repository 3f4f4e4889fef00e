"""What is installed: the library alone, and nothing of Azure until a secret is read."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


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
    assert not [name for name in ("psycopg", "azure-functions", "azure-storage", "opentelemetry") if name in listed]
    script = tmp_path / "venv" / "bin" / "keyturn"
    without = subprocess.run([script, "--help"], capture_output=True, text=True, check=False, timeout=60)
    assert (without.returncode, without.stderr) == (1, 'keyturn: click is not installed: pip install "keyturn[cli]"\n')
    subprocess.run([executable, "-m", "pip", "install", "-q", f"{source}[cli]"], check=True, timeout=300, cwd=tmp_path)
    version = [str(script), "--version"]
    with_it = subprocess.run(version, capture_output=True, text=True, check=True, timeout=60, cwd=tmp_path)
    assert with_it.stdout == "keyturn 0.1.0\n"
