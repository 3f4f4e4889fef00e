"""What an access token of ours says, unchecked: the service that gets it checks it."""

import base64
import json
from collections.abc import Mapping

from rotation.model import SecretValue


def claims_of(token: SecretValue) -> Mapping[str, object]:
    """The payload of a JSON Web Token (RFC 7519, 3); empty where it has none that can be read."""
    parts = token.reveal().split(".")
    try:
        payload = parts[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, ValueError):  # binascii.Error is one
        return {}
    return claims if isinstance(claims, dict) else {}
