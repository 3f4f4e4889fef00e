"""The clients of the resource manager and of Graph, each in a process of a Python that has them."""

import os
from pathlib import Path

from local.tokens import TENANT
from tests.environments import python_of
from tests.foreign_clients.place import Place
from tests.foreign_clients.told import Told, counted
from tests.local_azure import ACCOUNT, APPLICATION, CLIENT_ID

HERE = Path(__file__).parent
REQUIREMENTS = HERE / "requirements-azure-clients.txt"
WITHIN_S = 240  # the first time Python compiles what it loads


def arm(place: Place) -> Told:
    """Raises `RuntimeError` where pip can't fetch it; so does `graph`."""
    return _run(place, "azure-mgmt-storage", "arm", place.azure.arm_url, ACCOUNT)


def graph(place: Place) -> Told:
    return _run(place, "msgraph", "graph", place.azure.graph_url, APPLICATION, CLIENT_ID, place.azure.login_url, TENANT)


def _run(place: Place, client: str, module: str, *arguments: str) -> Told:
    python = python_of(REQUIREMENTS, "--no-deps", "--no-compile")
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(HERE.parents[1]), **place.trust}
    command = (str(python), "-m", f"tests.foreign_clients.azure_clients.{module}", *arguments)
    return counted(client, command, environment, WITHIN_S)
