"""Access tokens on one machine: what Entra ID signs in the cloud is signed here with a key file.

The claims are those of a managed identity's v1.0 token ("Access token claims reference" in the Microsoft identity
platform's documentation). Tokens live by the machine's clock, never by a stand-in's shifted one, since the clients
that cache them do too.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import time
import uuid
from collections.abc import Collection, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

import jwt

TENANT = "11111111-1111-4111-8111-111111111111"
ISSUER = f"https://sts.windows.net/{TENANT}/"
SYSTEM_ASSIGNED_OID = "22222222-2222-4222-8222-222222222222"
SYSTEM_ASSIGNED_APPID = "33333333-3333-4333-8333-333333333333"
LIFETIME_S = 86_400  # a managed identity's tokens live a day

ALGORITHM = "HS256"
SHORTEST_KEY = 32  # bytes; RFC 7518, section 3.2: as long as the hash


class Flaw(StrEnum):
    """Why a token was not accepted."""

    EXPIRED = "expired"
    AUDIENCE = "audience"
    SIGNATURE = "signature"
    ISSUER = "issuer"
    MALFORMED = "malformed"


class TokenRefused(Exception):
    """The token is not accepted: `flaw` says why. `audience`: whom it was meant for, where that is the flaw."""

    def __init__(self, flaw: Flaw, audience: str = "") -> None:
        super().__init__(f"the token was refused: {flaw.value}")
        self.flaw = flaw
        self.audience = audience


class TokenAuthority:
    """Issues and checks tokens. Everybody who holds the key is the same authority."""

    def __init__(self, key: bytes) -> None:
        if len(key) < SHORTEST_KEY:
            raise ValueError(f"the signing key has {len(key)} bytes; at least {SHORTEST_KEY} are needed")
        self._key = key

    @classmethod
    def from_file(cls, path: Path) -> TokenAuthority:
        """The authority whose key stands in `path`, which is made (mode 0600) where there is none.

        Several processes may start at once: whoever links the file first decides, and all read the same key.
        """
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            draft = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
            descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(secrets.token_hex(SHORTEST_KEY))
            with contextlib.suppress(FileExistsError):  # another process was first: its key counts
                path.hardlink_to(draft)
            draft.unlink()
        return cls(path.read_bytes().strip())

    def issue(
        self,
        audience: str,
        claims: Mapping[str, Any] | None = None,
        lifetime: float = LIFETIME_S,
    ) -> str:
        """A token for `audience`, valid for `lifetime` seconds (negative: already expired).

        `claims` add to, or replace, those of the system-assigned identity (`oid`, `appid`, `roles`, ...).
        """
        now = int(time.time())
        body: dict[str, Any] = {
            "aud": audience,
            "iss": ISSUER,
            "tid": TENANT,
            "oid": SYSTEM_ASSIGNED_OID,
            "sub": SYSTEM_ASSIGNED_OID,
            "appid": SYSTEM_ASSIGNED_APPID,
            "idtyp": "app",
            "ver": "1.0",
            "iat": now,
            "nbf": min(now, now + int(lifetime)),
            "exp": now + int(lifetime),
            **(claims or {}),
        }
        return jwt.encode(body, self._key, algorithm=ALGORITHM)

    def verify(self, token: str, audience: str | Collection[str]) -> dict[str, Any]:
        """The claims of a token that is meant for (one of) `audience`; a slash at the end makes no difference.

        Raises:
            TokenRefused: expired, wrong audience or issuer, bad signature, or no token at all.
        """
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                self._key,
                algorithms=[ALGORITHM],
                issuer=ISSUER,
                options={"require": ["exp", "iss", "aud", "oid"], "verify_aud": False},
            )
        except jwt.ExpiredSignatureError:
            raise TokenRefused(Flaw.EXPIRED) from None
        except jwt.InvalidSignatureError:
            raise TokenRefused(Flaw.SIGNATURE) from None
        except jwt.InvalidIssuerError:
            raise TokenRefused(Flaw.ISSUER) from None
        except jwt.InvalidTokenError:
            raise TokenRefused(Flaw.MALFORMED) from None
        accepted = [audience] if isinstance(audience, str) else audience
        meant_for = str(claims["aud"])
        if meant_for.rstrip("/") not in {one.rstrip("/") for one in accepted}:
            raise TokenRefused(Flaw.AUDIENCE, meant_for)
        return claims
