"""Whether the old login is in a part of the value that nobody can rewrite."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterator, Mapping
from urllib.parse import quote, quote_plus, unquote, unquote_plus

from rotation.errors import Unusable

# Shorter ones occur by accident in words ("app" in "application", "pw" in "pw-policy"): of them only a whole word is
# taken for a copy, which is where nobody can tell. A longer one is looked for anywhere, and in the usual encodings.
_LONG = 6
# What these hold is known, and is no login; a schema or an application is often named like the role. Without "_", "-"
# and blanks.
_NO_LOGIN = frozenset(
    {
        "applicationname", "fallbackapplicationname", "searchpath", "currentschema", "schema", "engine", "sslmode",
        "dbinstanceidentifier", "dbclusteridentifier", "charset", "clientencoding", "tenantid", "azuretenantid",
    }
)  # fmt: skip


def plain_name(keyword: str) -> str:
    """A keyword as it is compared: in lower case, without "_", "-", "." and blanks."""
    return keyword.lower().translate(_NOT_IN_NAMES)


_NOT_IN_NAMES = {ord(mark): None for mark in "_-. \t"}


def check_no_copy(options: Mapping[str, str], password: str, user: str | None, *, renamed: bool) -> None:
    """Look for the old password among what is not rewritten, and for the old user where another one is written.

    Raises:
        Unusable: it is there.
    """
    unknown = "\n".join(text for key, text in options.items() if plain_name(key) not in _NO_LOGIN)
    if unknown and password and _holds(unknown, password, user or ""):
        raise Unusable(
            "the old password is in another part of the value too, which can't be rewritten: take that part out",
            field="value",
        )
    if renamed and user and unknown and _has_word(unknown, user):
        raise Unusable(
            "the user is in another part of the value too, which can't be rewritten: take that part out",
            field="value",
        )


def _holds(text: str, secret: str, user: str) -> bool:
    if len(secret) < _LONG:
        return _has_word(text, secret)
    if any(secret in decoded for decoded in (text, unquote(text), unquote_plus(text), html.unescape(text))):
        return True
    return any(encoded in text for encoded in _encoded(secret, user))


def _has_word(text: str, word: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(word)}(?!\w)", unquote_plus(text)) is not None


def _encoded(secret: str, user: str) -> Iterator[str]:
    yield quote(quote(secret, safe=""), safe="")
    yield quote_plus(quote_plus(secret))
    yield json.dumps(secret)[1:-1]
    yield secret.encode().hex()
    for whole in (secret, f"{user}:{secret}"):  # the second as in HTTP's Basic
        yield base64.b64encode(whole.encode()).decode().rstrip("=")
        yield base64.urlsafe_b64encode(whole.encode()).decode().rstrip("=")
