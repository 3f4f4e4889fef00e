"""Key Vault's SDK for .NET, in a program that Microsoft's .NET runs; it is no part of the project."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from tests.foreign_clients.place import Place
from tests.foreign_clients.told import Told, counted

NAME, SETTING = "dotnet-clients", "DOTNET_CLIENTS"
BESIDE = Path(__file__).parents[3] / "shared" / "tools" / NAME / NAME
MISSING = f"{NAME} is not at hand: name it in {SETTING}, or see that PATH leads to it"
KEPT = ("PATH", "HOME", "FUNCTIONS_HOST_HOME", "XDG_CACHE_HOME")  # where it unpacks itself
WITHIN_S = 240  # the first time it unpacks a .NET


def found(environment: Mapping[str, str] = os.environ) -> Path | None:
    """The program: where DOTNET_CLIENTS says, else on PATH, else in a folder shared/tools beside the checkout.

    Raises:
        LookupError: there is none where DOTNET_CLIENTS says.
    """
    named = environment.get(SETTING)
    if named:
        place = next((one for one in (Path(named), Path(named) / NAME) if one.is_file()), None)
        if place is None:
            raise LookupError(f"{SETTING} is {named}, and there is no {NAME}")
        return place
    on_path = shutil.which(NAME, path=environment.get("PATH", ""))
    if on_path:
        return Path(on_path)
    return BESIDE if BESIDE.is_file() else None


def excused(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether it may be missing: KEYTURN_WITHOUT names it, or nobody asks for all lanes, as `.ci/run` does."""
    return NAME in environment.get("KEYTURN_WITHOUT", "").split(",") or not environment.get("KEYTURN_WITH_ALL")


def run(place: Place, program: Path) -> Told:
    """Both at a loopback address and, with the challenge verified, at the vault's name on Azure."""
    environment = {name: os.environ[name] for name in KEPT if name in os.environ}
    near = counted("dotnet", (program, "check", place.near), environment | place.trust, WITHIN_S)
    command = (program, "check", place.named, "--verify-challenge")
    return near + counted("dotnet", command, environment | place.led, WITHIN_S)
