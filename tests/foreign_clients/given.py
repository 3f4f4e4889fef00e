"""A credential that has one token, where a client shall not ask for one."""

import time
from typing import Any

from azure.core.credentials import AccessToken

LIFETIME_S = 3600


class Given:
    """For the synchronous clients of Azure's SDK for Python."""

    def __init__(self, token: str) -> None:
        self._token = AccessToken(token, int(time.time()) + LIFETIME_S)

    def get_token(self, *_scopes: str, **_options: Any) -> AccessToken:
        return self._token
