"""Which servers there are on this machine. None is installed as a service, and none is started but by a test.

`python -m tests.mysql.packages` unpacks MySQL, and a newer MariaDB than the system's, below `.cache/mysql`.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

UNPACKED = Path(__file__).resolve().parents[2] / ".cache" / "mysql"
HOW = {
    "mariadb": "no MariaDB on this machine: apt-get install mariadb-server",
    "mariadb-newest": "no MariaDB of Debian's development on this machine: python -m tests.mysql.packages",
    "mysql": "no MySQL on this machine: python -m tests.mysql.packages",
}


@dataclass(frozen=True, slots=True)
class Installed:
    """A server's program, as it is started. share: its messages and scripts. plugins: a folder of its own."""

    name: str
    command: tuple[str, ...]
    share: Path
    plugins: Path

    @property
    def is_mariadb(self) -> bool:
        return self.name.startswith("mariadb")


def installed() -> Mapping[str, Installed]:
    """By the names that `HOW` has; those that are there."""
    found = (_of_the_system(), _unpacked("mariadb-newest"), _unpacked("mysql"))
    return {one.name: one for one in found if one is not None}


def _of_the_system() -> Installed | None:
    program = shutil.which("mariadbd", path="/usr/sbin:/usr/bin:/usr/libexec")
    share = next((path for path in (Path("/usr/share/mysql"), Path("/usr/share/mariadb")) if path.is_dir()), None)
    plugins = Path("/usr/lib/mysql/plugin")
    if program is None or share is None or not (plugins / "auth_ed25519.so").exists():
        return None
    return Installed("mariadb", (program,), share, plugins)


def _unpacked(name: str) -> Installed | None:
    """By its own loader and libraries: they are of a newer system than this may be."""
    root = UNPACKED / name
    program = root / "usr" / "sbin" / ("mysqld" if name == "mysql" else "mariadbd")
    loader = next(root.glob("usr/lib/*/ld-linux-*.so.*"), None)
    if not program.exists() or loader is None:
        return None
    libraries = f"{loader.parent}:{root / 'usr/lib/mysql/private'}"
    share = root / "usr" / "share" / ("mysql" if name == "mysql" else "mariadb")
    command = (str(loader), "--library-path", libraries, str(program))
    return Installed(name, command, share, root / "usr" / "lib" / "mysql" / "plugin")
