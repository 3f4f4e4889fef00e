"""What is uploaded: built by one command, holds what the app needs and nothing else, and starts by itself."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from fnmatch import fnmatchcase
from importlib.metadata import files
from pathlib import Path
from typing import Any

import pytest

from infra import package
from tests.e2e.test_start import GOOD, triggers
from tests.unit.test_locks import locked

pytestmark = pytest.mark.thorough

ROOT = Path(__file__).parents[2]
OF_THE_IMAGE = ("azure-functions-runtime", "azurefunctions-extensions-base", "protobuf", "azure-functions-runtime-v1")
NO_313 = "the package is for Python 3.13, which this machine has not got"
UNCHECKED = (1).to_bytes(4, "little")  # PEP 552: a hash, not looked at
OURS = {*package.FILES, package.NUMBER_FILE}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The zip, by the one command that builds it."""
    folder = tmp_path_factory.mktemp("package")
    done = subprocess.run(
        ["make", "package", f"ARGS=--folder {folder}/app --zip {folder}/keyturn.zip"],
        cwd=ROOT, env={**os.environ, "PYTHON": sys.executable}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder / "keyturn.zip"


@pytest.fixture(scope="module")
def unpacked(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    app = tmp_path_factory.mktemp("unpacked")
    with zipfile.ZipFile(built) as archive:
        archive.extractall(app)
    return app


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the image in Azure brings, and the few lines of ours that drive it."""
    folder = tmp_path_factory.mktemp("worker")
    for name in OF_THE_IMAGE:
        for file in files(name) or ():
            if ".." not in file.parts and "__pycache__" not in file.parts:
                target = folder / file
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(Path(str(file.locate())), target)
    for ours in ("local/__init__.py", "local/host/__init__.py", "local/host/worker.py", "local/host/protos.py"):
        (folder / ours).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / ours, folder / ours)
    return folder


def start(worker: Path, app: Path) -> "subprocess.CompletedProcess[str]":
    python = python_313()
    if python is None:
        pytest.skip(NO_313)
    return subprocess.run(
        [python, "-I", "-S", "-B", ROOT / "tests/infra/started.py", worker, app],
        env={"PATH": "/usr/bin:/bin", **GOOD}, cwd="/", capture_output=True, text=True, check=False,
    )  # fmt: skip


def python_313() -> str | None:
    return sys.executable if sys.version_info[:2] == (3, 13) else package.python_that_runs("python3.13")


def test_the_unpacked_package_starts_with_its_own_packages_alone_and_lists_every_function(
    worker: Path, unpacked: Path
) -> None:
    done = start(worker, unpacked)
    assert done.returncode == 0, done.stderr[-2000:]
    told = json.loads(done.stdout.splitlines()[-1])
    found = {one["name"]: triggers(one["bindings"])[0] for one in told["functions"]}
    assert found == listed_from_the_sources()
    assert told["health"]["package"] == (unpacked / package.NUMBER_FILE).read_text().strip()
    assert told["foreign"] == []
    assert told["libpq"] == "binary"
    assert {"postgres", "storage-key", "entra-app-secret", "generated"} <= set(told["rotators"])


def listed_from_the_sources() -> dict[str, Any]:
    """The functions of the checkout, in this environment. Listing needs no folder: below a file there can be none."""
    nowhere = Path(__file__) / "unused"
    done = subprocess.run(
        [sys.executable, "-m", "local.host", "--app", ROOT, "--data", nowhere, "--list"],
        cwd=ROOT, env={"PATH": "/usr/bin:/bin", **GOOD}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return {one["name"]: triggers(one["bindings"])[0] for one in json.loads(done.stdout)}


@pytest.mark.parametrize("gone", ["rotation/engine/engine.py", ".python_packages/lib/site-packages/msal/__init__.py"])
def test_a_package_without_one_of_its_files_does_not_start(
    worker: Path, unpacked: Path, tmp_path: Path, gone: str
) -> None:
    app = tmp_path / "app"
    shutil.copytree(unpacked, app)
    (app / gone).unlink()
    assert start(worker, app).returncode != 0


def test_it_holds_the_app_and_its_packages_and_nothing_of_ours_besides(built: Path) -> None:
    names = contents(built)
    top = {name.split("/")[0] for name in names if not name.endswith(".pyc")}
    assert top == {*OURS, "rotation", "handlers", "app", ".python_packages"}
    ours = {name for name in names if not name.startswith(".python_packages/") and not name.endswith(".pyc")}
    assert ours == {*OURS, *(name for name in of_the_app() if name not in package.FILES)}
    assert [name for name in names if "/tests/" in name or "/bin/" in name or "local.settings" in name] == []


def test_each_source_has_its_bytecode_which_no_clock_can_make_stale(unpacked: Path) -> None:
    if python_313() is None:
        pytest.skip(NO_313)
    sources = list(unpacked.rglob("*.py"))
    assert len(sources) > 500
    for source in sources:
        compiled = source.parent / f"__pycache__/{source.stem}.cpython-313.pyc"
        assert compiled.read_bytes()[4:8] == UNCHECKED, source


def test_it_is_small_enough_and_can_be_read_on_linux(built: Path) -> None:
    assert built.stat().st_size < 60_000_000
    with zipfile.ZipFile(built) as archive:
        assert {(entry.create_system, entry.external_attr >> 16) for entry in archive.infolist()} == {(3, 0o100644)}


def test_its_binaries_are_for_the_python_and_the_machine_in_azure(built: Path) -> None:
    extensions = [name for name in contents(built) if name.endswith(".so") and ".cpython-" in name]
    assert len(extensions) > 10
    assert all("cpython-313-x86_64-linux-gnu" in name for name in extensions)


def test_the_same_sources_make_the_same_package(built: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.zip"
    package.collect(ROOT, tmp_path / "app")
    package.compile_all(tmp_path / "app")
    package.write_zip(tmp_path / "app", again)
    assert hashlib.sha256(again.read_bytes()).digest() == hashlib.sha256(built.read_bytes()).digest()


def test_another_policy_makes_a_package_of_another_number(unpacked: Path, tmp_path: Path) -> None:
    shutil.copytree(unpacked, tmp_path / "app")
    assert package.digest(tmp_path / "app") == (unpacked / package.NUMBER_FILE).read_text().strip()
    with (tmp_path / "app/policy.toml").open("a") as policy:
        policy.write("# another\n")
    assert package.digest(tmp_path / "app") != package.digest(unpacked)


def test_what_is_locked_is_in_it_in_its_locked_version_and_nothing_else(built: Path) -> None:
    installed = {
        name.split("/")[3].removesuffix(".dist-info").replace("-", "==").lower()
        for name in contents(built)
        if name.endswith(".dist-info/METADATA")
    }
    assert {f"{name.replace('-', '_')}=={version}" for name, version in locked(package.LOCK)} == installed


def test_a_package_of_another_hash_is_refused(tmp_path: Path) -> None:
    lock = tmp_path / "requirements.lock"
    lock.write_text("tzdata==2026.6 --hash=sha256:" + "0" * 64)
    with pytest.raises(package.PackageError, match="DO NOT MATCH THE HASHES"):
        package._install(lock, tmp_path / "site")


def test_a_package_that_is_too_big_is_refused_and_leaves_the_last_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app/big").write_bytes(bytes(range(256)) * 8)
    target = tmp_path / "keyturn.zip"
    target.write_text("the last one")
    monkeypatch.setattr(package, "MAX_BYTES", 100)
    with pytest.raises(package.PackageError, match="more than"):
        package.write_zip(tmp_path / "app", target)
    assert target.read_text() == "the last one"
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".part"] == []


def test_outside_of_a_checkout_the_builder_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(package.PackageError, match=r"host\.json"):
        package.collect(tmp_path, tmp_path / "app")


def test_funcignore_leaves_out_all_that_the_package_leaves_out() -> None:
    """Core Tools and VS Code read .funcignore; what they would upload from a checkout is what we package."""
    uploaded = {name for name in tracked() if not ignored(name)}
    assert uploaded == of_the_app()
    for made_here in ("dist/keyturn.zip", ".venv/bin/python", ".cache/x", "local.settings.json", ".env"):
        assert ignored(made_here), made_here


def tracked() -> list[str]:
    return subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()


def of_the_app() -> set[str]:
    """Files of the checkout that are packaged: all of the app's but the pages about rotators."""
    named = {name for name in tracked() if name in package.FILES or name.split("/")[0] in package.FOLDERS}
    return {name for name in named if not name.endswith(".md")}


def ignored(name: str) -> bool:
    parts = name.split("/")
    steps = ["/".join(parts[: count + 1]) for count in range(len(parts))]
    return any(fnmatchcase(step, pattern) for step in steps for pattern in patterns())


def patterns() -> Iterator[str]:
    for line in (ROOT / ".funcignore").read_text().splitlines():
        if line and not line.startswith("#"):
            yield line


def contents(archive: Path) -> list[str]:
    with zipfile.ZipFile(archive) as opened:
        return opened.namelist()
