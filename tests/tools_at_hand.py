"""Tools that are no part of this project and no package of a registry: a lane that uses one finds it here.

Looked at are, in this order, the environment variable (the tool, or a folder that it is in), PATH, and a folder
`shared/tools` beside the checkout. `.ci/run` sets `KEYTURN_WITH_ALL=1`: there a tool that is missing is an error,
unless `KEYTURN_WITHOUT` names its lane; elsewhere the lane is skipped with one line.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BESIDE = ROOT.parent / "shared" / "tools"
WITHOUT = "KEYTURN_WITHOUT"  # the lanes whose tool may be missing, comma-separated
WITH_ALL = "KEYTURN_WITH_ALL"


class Missing(Exception):
    """A tool that must be there is not; the message says how to have it or to do without."""


def find(name: str, *, env: str, beside: Path = BESIDE, environment: Mapping[str, str] | None = None) -> Path | None:
    """The tool's file; None where there is none.

    name: of the executable file, and of the folder below `shared/tools` that it may stand in. env: the variable that
    names the tool or its folder.

    Raises:
        Missing: the variable is set, and there is no such tool.
    """
    environment = os.environ if environment is None else environment
    told = environment.get(env)
    if told:
        found = _in(Path(told), name)
        if found is None:
            raise Missing(f"{env} is {told}, and there is no {name}")
        return found
    on_path = shutil.which(name, path=environment.get("PATH", ""))
    return Path(on_path) if on_path else _in(beside, name)


def at_hand(lane: str, name: str, *, env: str, environment: Mapping[str, str] | None = None) -> Path | None:
    """As `find`, for a lane by its name in `KEYTURN_WITHOUT`. None: the lane is skipped.

    Raises:
        Missing: also where it must not be missing.
    """
    environment = os.environ if environment is None else environment
    found = find(name, env=env, environment=environment)
    without = {one.strip() for one in environment.get(WITHOUT, "").split(",")}
    if found is None and environment.get(WITH_ALL) and lane not in without:
        raise Missing(f"{name} is missing: set {env} to it, or {WITHOUT}={lane} to do without")
    return found


def _in(place: Path, name: str) -> Path | None:
    for file in (place, place / name, place / name / name):
        if file.is_file() and os.access(file, os.X_OK):
            return file.resolve()
    return None
