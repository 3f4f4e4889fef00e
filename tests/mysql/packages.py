"""`python -m tests.mysql.packages`: MySQL and a newer MariaDB from Debian's development, unpacked below `.cache/mysql`.

Debian's releases have no MySQL. apt brings the packages by its own configuration: from the mirror that this machine
uses for Debian, by the lists that Debian signs, which have every file's hash. Nothing is installed, and nothing of the
system is changed. Debian's development has one version at a time, so no version is named here.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.mysql.installed import UNPACKED, installed

WANTED = {"mysql": ("mysql-server-core",), "mariadb-newest": ("mariadb-server-core", "mariadb-server")}
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
# What the servers' scripts want, and the servers do not.
LEFT_OUT = ("perl", "libperl", "libgdbm", "libdb5", "gcc-", "libc-gconv")
SUITE = "sid"


def main() -> int:
    """Get what is missing -> an exit code."""
    missing = [name for name in WANTED if name not in installed()]
    if not missing:
        return 0
    mirror = _mirror()
    if mirror is None:
        print("no mirror of Debian is among apt's sources, so MySQL can't be had here", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="keyturn-mysql-") as place:
        apt = _Apt(Path(place), mirror)
        for name in missing:
            apt.unpack(WANTED[name], UNPACKED / name)
            print(f"{name}: unpacked")
    return 0


def _mirror() -> str | None:
    """Debian's own, from the sources of this machine."""
    told = _run(("apt-get", "indextargets", "--format", "$(REPO_URI) $(ORIGIN) $(LABEL)", "Created-By: Packages"), {})
    return next((line.split()[0] for line in told.splitlines() if line.split()[1:] == ["Debian", "Debian"]), None)


class _Apt:
    """apt with lists and a state of its own, in a folder."""

    def __init__(self, place: Path, mirror: str) -> None:
        self._place = place
        for folder in ("lists/partial", "cache/archives/partial", "got"):
            (place / folder).mkdir(parents=True)
        (place / "status").touch()
        (place / "sources.list").write_text(f"deb [signed-by={KEYRING}] {mirror} {SUITE} main\n", "utf-8")
        settings = {
            "Dir::Etc::SourceList": place / "sources.list",
            "Dir::Etc::SourceParts": "/dev/null",
            "Dir::State::Lists": place / "lists",
            "Dir::State::status": place / "status",
            "Dir::Cache": place / "cache",
            "APT::Sandbox::User": "",
            "Acquire::Languages": "none",
        }
        config = place / "apt.conf"
        config.write_text("".join(f'{key} "{value}";\n' for key, value in settings.items()), "utf-8")
        self._environment = {"APT_CONFIG": str(config)}
        _run(("apt-get", "update", "-qq"), self._environment)

    def unpack(self, packages: tuple[str, ...], to: Path) -> None:
        """The packages and all that they need, into a folder that is there whole or not at all."""
        simulated = ("apt-get", "--no-install-recommends", "-y", "--print-uris", "install", packages[0])
        needed = [line.split()[1].partition("_")[0] for line in _run(simulated, self._environment).splitlines()
                  if line.startswith("'")]  # fmt: skip
        wanted = {one for one in needed if not one.startswith(LEFT_OUT)} | set(packages)
        got = self._place / "got" / packages[0]
        got.mkdir()
        _run(("apt-get", "download", "-qq", *sorted(wanted)), self._environment, got)
        to.parent.mkdir(parents=True, exist_ok=True)
        partial = to.with_name(f"{to.name}.{os.getpid()}")
        for package in got.glob("*.deb"):
            _run(("dpkg-deb", "-x", str(package), str(partial)), {})
        shutil.rmtree(to, ignore_errors=True)
        partial.rename(to)


def _run(command: tuple[str, ...], environment: dict[str, str], folder: Path | None = None) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, **environment}, cwd=folder
    )
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command[:2])} ended with {done.returncode}: {done.stderr[-500:]}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
