"""Azurite with an account whose key is changed."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator

import pytest

from local.azurite import ACCOUNT, LocalAzurite


def key() -> str:
    return base64.b64encode(os.urandom(64)).decode()


def string(azurite: LocalAzurite) -> str:
    places = "".join(f"{name.title()}Endpoint={azurite.service(name)};" for name in azurite.ports)
    return f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={azurite.key};{places}"


@pytest.fixture(scope="module")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAzurite]:
    azurite = LocalAzurite(tmp_path_factory.mktemp("azurite"), whole=True)
    azurite.start()
    yield azurite
    azurite.stop()


def change(azurite: LocalAzurite) -> None:
    """The old key works no longer."""
    azurite.stop()
    azurite.key = key()
    azurite.start()
