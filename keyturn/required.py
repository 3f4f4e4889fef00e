"""At an application's start: are all the secrets there that it needs? Every one that is not is named at once."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from keyturn.errors import KeyturnError, MissingSecrets, WrongReference
from keyturn.reference import parse, parse_vault
from keyturn.secret import RotatingSecret

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

MAX_CONCURRENT = 8


def variable_name(secret: str) -> str:
    """The environment variable that a secret becomes: ORDERS_DB for orders-db. No variable has a hyphen in its name."""
    return secret.upper().replace("-", "_")


def require(
    *names: str,
    vault: str,
    credential: TokenCredential | None = None,
    secret: Callable[[str], RotatingSecret] | None = None,
) -> dict[str, RotatingSecret]:
    """Read each of these secrets once -> each by its name, ready to be used.

    Args:
        names: of secrets in one vault.
        vault: its address, `https://VAULT.vault.azure.net`.
        credential: as `RotatingSecret` takes it.
        secret: how one is made of its address; by default with the credential.

    Raises:
        MissingSecrets: names every one that is missing, disabled or can't be read, with the cause and the variable's
            name. WrongReference: the vault's address, or a name, is none.
    """
    address = parse_vault(vault)
    if not names:
        raise WrongReference('no secret is named: require("orders-db", vault=…)')
    make = secret or (lambda reference: RotatingSecret(reference, credential))
    for name in names:
        parse(f"{address}/secrets/{name}")
    found = {name: make(f"{address}/secrets/{name}") for name in names}
    with ThreadPoolExecutor(max_workers=min(MAX_CONCURRENT, len(found)), thread_name_prefix="keyturn-require") as pool:
        causes = {name: cause for name, cause in zip(found, pool.map(_cause, found.values()), strict=True) if cause}
    if causes:
        for one in found.values():
            one.close()
        lines = "; ".join(f"{name} ({variable_name(name)}): {cause}" for name, cause in causes.items())
        count = f"{len(causes)} of {len(found)} secrets can't be read"
        raise MissingSecrets(f"{count} in {address}: {lines}", causes)
    return found


def _cause(secret: RotatingSecret) -> str | None:
    try:
        _ = secret.value
    except KeyturnError as error:
        return str(error).partition(": ")[2] or str(error)
    return None
