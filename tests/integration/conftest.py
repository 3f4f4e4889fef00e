"""Fixtures that several integration tests share."""

from tests.integration.vault_fixtures import (
    authority,
    certificates,
    client,
    control,
    identity,
    new_rest,
    new_vaults,
    receiver,
    rest,
    session,
    vault_process,
    vaults,
)

__all__ = [
    "authority",
    "certificates",
    "client",
    "control",
    "identity",
    "new_rest",
    "new_vaults",
    "receiver",
    "rest",
    "session",
    "vault_process",
    "vaults",
]
