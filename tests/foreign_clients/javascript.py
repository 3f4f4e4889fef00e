"""Key Vault's SDK for JavaScript: at a loopback address, and with its checks on at the vault's name on Azure."""

import os
from pathlib import Path

from local import npm
from tests.foreign_clients.place import Place
from tests.foreign_clients.told import Told, counted

HERE = Path(__file__).parent / "javascript"
WITHIN_S = 120


def run(place: Place) -> Told:
    """Raises `local.npm.Missing` where it can't be had."""
    modules = npm.set_up("Key Vault's SDK for JavaScript", HERE, "foreign-javascript") / "node_modules"
    environment = {"PATH": os.environ["PATH"], "NODE_PATH": str(modules)}
    command = ("node", HERE / "client.js")
    near = counted("javascript", (*command, place.near), environment | place.trust, WITHIN_S)
    return near + counted("javascript", (*command, place.named, "--verify"), environment | place.led, WITHIN_S)
