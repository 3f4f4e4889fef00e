"""Which secret is meant: `https://VAULT/secrets/NAME`, as the portal and App Service references write it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from keyturn.errors import WrongReference

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_NAME = re.compile(r"[A-Za-z0-9-]{1,127}")
_SHAPE = "write https://VAULT.vault.azure.net/secrets/NAME"


@dataclass(frozen=True, slots=True)
class Reference:
    """vault: its address, without a path. name: of the secret."""

    vault: str
    name: str

    def __str__(self) -> str:
        return f"{self.vault}/secrets/{self.name}"

    @property
    def is_local(self) -> bool:
        """Whether the vault is a stand-in on this machine: the SDK's check of the challenge can't know its address."""
        return urlsplit(self.vault).hostname in LOOPBACK


def parse(text: str) -> Reference:
    """A reference from its text.

    Raises:
        WrongReference: says what is wrong with it, and how it is written.
    """
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise WrongReference(f"this names no secret: {_SHAPE}") from None
    if parts.scheme != "https" or not parts.hostname or parts.username is not None or parts.password is not None:
        raise WrongReference(f"a secret's address begins with https:// and the vault's name: {_SHAPE}")
    if parts.query or parts.fragment:
        raise WrongReference(f"a secret's address has nothing after its name: {_SHAPE}")
    folders = parts.path.strip("/").split("/")
    if len(folders) == 3 and folders[0].lower() == "secrets":  # noqa: PLR2004  the third is the version
        raise WrongReference(
            "this names one version, which stays as it is when the secret is rotated: leave the version out"
        )
    if len(folders) != 2 or folders[0].lower() != "secrets" or not _NAME.fullmatch(folders[1]):  # noqa: PLR2004
        raise WrongReference(f"this names no secret: {_SHAPE}")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return Reference(f"https://{host}{'' if port is None else f':{port}'}", folders[1])


def parse_vault(text: str) -> str:
    """A vault's address, without anything after it.

    Raises:
        WrongReference: it is none.
    """
    return parse(f"{text.rstrip('/')}/secrets/x").vault
