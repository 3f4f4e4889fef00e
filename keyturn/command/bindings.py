"""Which secret becomes which environment variable or file: what `--env` and `--file` say."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from pathlib import PurePath

from keyturn import RotatingSecret, WrongReference

PUBLIC_CLOUD = "vault.azure.net"
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_VAULT = re.compile(r"[A-Za-z][A-Za-z0-9-]{1,22}[A-Za-z0-9]")  # Microsoft Learn, "Vault name and object name"
_SUFFIX = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+")


class Target(Enum):
    """What a value becomes; the option's name."""

    ENV = "--env"
    FILE = "--file"


class WrongBinding(ValueError):
    """One line that says what to write. Never what was written right of the `=`: it may be a password."""


@dataclass(frozen=True, slots=True)
class Binding:
    """name: the variable, or the file's path. reference: `https://VAULT/secrets/NAME`."""

    target: Target
    name: str
    reference: str

    def __str__(self) -> str:
        return f"{self.target.value} {self.name}"


def parse_suffix(text: str) -> str:
    """The part of a vault's address after its name, such as `vault.azure.cn`.

    Raises:
        WrongBinding: it is none.
    """
    suffix = text.removeprefix(".").lower()
    if not _SUFFIX.fullmatch(suffix):
        raise WrongBinding(f"write what comes after the vault's name in its address, such as {PUBLIC_CLOUD}")
    return suffix


def parse_binding(target: Target, text: str, suffix: str) -> Binding:
    """`NAME=VAULT/SECRET` or `NAME=https://VAULT/secrets/SECRET`; suffix: of the vault's address in the first form.

    Raises:
        WrongBinding: says what is wrong, and how it is written.
    """
    shape = "DATABASE_URL=kv-orders/orders-db" if target is Target.ENV else "db-password=kv-orders/orders-db"
    name, equals, where = text.partition("=")
    if not equals:
        raise WrongBinding(f"write a name, = and the secret, such as {shape}")
    if target is Target.ENV and not _VARIABLE.fullmatch(name):
        raise WrongBinding(f"a variable's name has letters, digits and _ alone, such as {shape}")
    if target is Target.FILE and not _is_path(name):
        raise WrongBinding(f"write a file's path, without .. in it, such as {shape}")
    return Binding(target, name, _reference(name, where, suffix, shape))


def _is_path(name: str) -> bool:
    path = PurePath(name)
    return bool(path.name) and ".." not in path.parts and "\0" not in name and not name.endswith("/")


def _reference(name: str, where: str, suffix: str, shape: str) -> str:
    reference = where
    if not where.startswith("https://"):
        vault, slash, secret = where.partition("/")
        if not slash or not _VAULT.fullmatch(vault):
            raise WrongBinding(f"{name}: write VAULT/SECRET or https://VAULT/secrets/SECRET, such as {shape}")
        reference = f"https://{vault.lower()}.{suffix}/secrets/{secret}"
    try:
        RotatingSecret(reference)
    except WrongReference as wrong:
        raise WrongBinding(f"{name}: {wrong}") from None
    return reference
