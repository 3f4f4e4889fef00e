"""Builds what is uploaded: the app and its packages for Flex Consumption (Linux x86_64, Python 3.13), as one zip.

`python infra/package.py` -> dist/app (the files) and dist/keyturn.zip (the same, zipped). The packages are wheels that
were built for that platform, with the hashes in requirements.lock, so that any machine makes the same package and
nothing is built in Azure (ADR 0019).
The zip is the same, byte for byte, for the same sources: sorted, no times of this machine, fixed permissions. Built
with Python 3.13 at hand it holds bytecode too, which halves a cold start; without, it says so.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# What the app is made of; all else stays here.
FILES = ("function_app.py", "host.json", "policy.toml", "requirements.txt")
FOLDERS = ("rotation", "handlers", "app")
LOCK = "requirements.lock"  # `make lock` makes it for this very platform: no marker is left in it
# Microsoft Learn, "Azure Functions Python developer guide": where the worker looks for an app's packages.
PACKAGES = ".python_packages/lib/site-packages"
NUMBER_FILE = "package.txt"  # what /api/health tells, so that a smoke test knows which package answers
PYTHON = "3.13"
# The image of Python 3.13 is Debian 12 with glibc 2.36 (Azure/azure-functions-docker, bookworm, python313).
PLATFORMS = ("manylinux_2_34_x86_64", "manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")
# Of no use where the app runs. pip writes the path of this machine's Python into bin/.
LEFT_OUT = ("bin", "__pycache__", "*.pyc", "*.pyi", "*.pyx", "*.pxd", "*.c", "*.h", "*.a", "tests", "test")
MAX_BYTES = 60 * 1024 * 1024
WWWROOT = "/home/site/wwwroot"  # where the host mounts the package
EPOCH = (1980, 1, 1, 0, 0, 0)  # the first moment that a zip can tell
UNIX = 3
MODE = 0o100644


class PackageError(Exception):
    """The package can't be built; the message says why, and what to do."""


def main() -> int:
    """0; 1 with one line on standard error where the package can't be built."""
    parser = argparse.ArgumentParser(prog="python infra/package.py", description=__doc__)
    parser.add_argument("--folder", type=Path, default=ROOT / "dist/app", help="the files")
    parser.add_argument("--zip", type=Path, default=ROOT / "dist/keyturn.zip", help="the same, zipped")
    options = parser.parse_args()
    try:
        number = collect(ROOT, options.folder)
        if not compile_all(options.folder):
            print(f"package: no Python {PYTHON} here, so without bytecode: cold starts take longer", file=sys.stderr)
        size = write_zip(options.folder, options.zip)
    except PackageError as error:
        print(f"package: {error}", file=sys.stderr)
        return 1
    print(f"package: {options.zip} {size / 1024 / 1024:.1f} MB, package {number}")
    return 0


def collect(source: Path, folder: Path) -> str:
    """Put the app's files and its packages into `folder`, made anew -> the package's number.

    Raises:
        PackageError: a file of the app is missing, or a wheel can't be had.
    """
    missing = [name for name in (*FILES, *FOLDERS, LOCK) if not (source / name).exists()]
    if missing:
        raise PackageError(f"{', '.join(missing)} missing in {source}: run it in a checkout of Keyturn")
    packages = _packages(source)
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    for name in FILES:
        shutil.copyfile(source / name, folder / name)
    for name in FOLDERS:
        for file in _kept(source / name):
            if file.suffix != ".md":  # pages about a rotator, for people
                _copy(file, folder / name / file.relative_to(source / name))
    shutil.copytree(packages, folder / PACKAGES, copy_function=shutil.copyfile)
    number = digest(folder)
    (folder / NUMBER_FILE).write_text(f"{number}\n", encoding="ascii")
    return number


def compile_all(folder: Path) -> bool:
    """Put bytecode beside every source that has none; False where there is no Python of the right version to make it.

    The package is mounted read-only, so that each new instance would have to compile everything again.
    """
    python = _python()
    if python is None:
        return False
    _compile(python, folder, WWWROOT, "-x", re.escape(f"{folder / PACKAGES}{os.sep}"))  # these came with theirs
    return True


def _python() -> str | None:
    ours = ".".join(map(str, sys.version_info[:2]))
    return sys.executable if ours == PYTHON else python_that_runs(f"python{PYTHON}")


def _compile(python: str, folder: Path, shown: str, *more: str) -> None:
    """Put bytecode beside every source. shown: where the folder will be, which tracebacks name.

    "unchecked": the files of a package never change, and a zip keeps no time by which a change could be seen.

    Raises:
        PackageError: a source is none.
    """
    command = [
        python, "-I", "-S", "-m", "compileall", "-qq", "--invalidation-mode", "unchecked-hash", *more,
        "-s", str(folder), "-p", shown, str(folder),
    ]  # fmt: skip
    if subprocess.run(command, check=False).returncode != 0:  # noqa: S603  no shell, our own words
        raise PackageError(f"a source in {folder} can't be compiled by Python {PYTHON}")


def python_that_runs(name: str) -> str | None:
    """A command that runs; a version manager may have a name for what it has not got."""
    path = shutil.which(name)
    if path is None or subprocess.run([path, "-c", ""], capture_output=True, check=False).returncode != 0:  # noqa: S603  as above
        return None
    return path


def write_zip(folder: Path, target: Path) -> int:
    """Zip `folder` -> the zip's size in bytes.

    The host mounts the zip as it is, on Linux: without permissions in it no file could be read, and no function would
    be found.

    Raises:
        PackageError: more than 60 MB.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_suffix(".part")
    with zipfile.ZipFile(unfinished, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as out:
        for file in _sorted(folder):
            entry = zipfile.ZipInfo(file.relative_to(folder).as_posix(), EPOCH)
            entry.create_system = UNIX
            entry.external_attr = MODE << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            out.writestr(entry, file.read_bytes())
    size = unfinished.stat().st_size
    if size > MAX_BYTES:
        unfinished.unlink()
        raise PackageError(f"{size} bytes are more than {MAX_BYTES}: look for what grew in {folder}")
    unfinished.replace(target)
    return size


def digest(folder: Path) -> str:
    """Twelve hex digits over every file's name and content, but for bytecode and the number's own file."""
    whole = hashlib.sha256()
    for file in _sorted(folder):
        name = file.relative_to(folder).as_posix()
        if name != NUMBER_FILE and file.suffix != ".pyc":
            whole.update(f"{name}\0{hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    return whole.hexdigest()[:12]


def _packages(source: Path) -> Path:
    """The folder of the installed wheels with their bytecode, kept below .cache for the same lock."""
    lock, python = source / LOCK, _python()
    wanted = hashlib.sha256(lock.read_bytes() + Path(__file__).read_bytes()).hexdigest()[:16]
    kept = ROOT / ".cache/package" / (wanted if python else f"{wanted}-without-bytecode")
    if kept.exists():
        return kept
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=kept.parent) as unfinished:
        site, slim = Path(unfinished) / "site", Path(unfinished) / "slim"
        _install(lock, site)
        for file in _kept(site):
            _copy(file, slim / file.relative_to(site))
        if python:
            _compile(python, slim, f"{WWWROOT}/{PACKAGES}")
        try:
            slim.rename(kept)
        except OSError:  # another build was quicker
            if not kept.exists():
                raise
    return kept


def _install(lock: Path, target: Path) -> None:
    """pip, for another platform than this one, and nothing whose hash is not in the lock."""
    platforms = [part for name in PLATFORMS for part in ("--platform", name)]
    command = [
        sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile",
        "--require-hashes", "--no-deps", "--only-binary", ":all:", "--implementation", "cp", "--python-version", PYTHON,
        *platforms, "--target", str(target), "-r", str(lock),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  no shell, our own words
    if done.returncode != 0:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        raise PackageError(f"pip could not get the packages: {' '.join(errors) or done.stderr.strip()[-500:]}")


def _kept(folder: Path) -> Iterator[Path]:
    for file in _sorted(folder):
        parts = file.relative_to(folder).parts
        if not any(fnmatchcase(part, pattern) for part in parts for pattern in LEFT_OUT):
            yield file


def _sorted(folder: Path) -> list[Path]:
    return sorted((path for path in folder.rglob("*") if path.is_file()), key=lambda path: path.as_posix())


def _copy(file: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, target)


if __name__ == "__main__":
    sys.exit(main())
