"""The JSON of the secrets API: what comes in is checked, what goes out is shaped.

Field names and limits: "Azure Key Vault REST API reference", Secrets; sizes: "About Azure Key Vault secrets" (25k of
value, 15 tags of 256 characters).
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import Any
from urllib.parse import urlsplit

from local.vault import errors
from local.vault.store import RECOVERABLE_DAYS, Attributes, Version
from rotation.model import SecretValue

NAME = re.compile(r"[0-9a-zA-Z-]{1,127}")
VERSION = re.compile(r"[0-9a-fA-F]{32}")
LARGEST_VALUE = 25_600  # bytes
MAX_TAGS = 15
LONGEST_TAG = 256
LONGEST_CONTENT_TYPE = 255
PAGE = 25
# Those that azure-keyvault-secrets 4.12 and the SDKs before it ask for, the newest last.
API_VERSIONS = (
    "2016-10-01", "7.0", "7.1", "7.2-preview", "7.2", "7.3-preview", "7.3", "7.4-preview.1", "7.4", "7.5-preview.1",
    "7.5", "7.6-preview.1", "7.6-preview.2", "7.6", "2025-06-01-preview", "2025-07-01", "2026-04-01",
)  # fmt: skip


def check_api_version(given: str | None) -> None:
    """That a call names a version of the API which there is."""
    if not given:
        raise errors.bad_parameter("The api-version query parameter is missing.")
    if given not in API_VERSIONS:
        raise errors.unknown_api_version(given, API_VERSIONS[-1])


def parse_object(raw: bytes) -> dict[str, Any]:
    """The request's JSON object."""
    try:
        body = json.loads(raw or b"{}")
    except ValueError:  # the text of the exception would quote the body
        raise errors.bad_parameter("The request body is not valid JSON.") from None
    if not isinstance(body, dict):
        raise errors.bad_parameter("The request body is not a JSON object.")
    return body


def parse_value(body: dict[str, Any]) -> SecretValue:
    """The `value` of a set."""
    value = body.get("value")
    if not isinstance(value, str):
        raise errors.bad_parameter("The parameter value is missing or is not a string.")
    if len(value.encode("utf-8", "surrogatepass")) > LARGEST_VALUE:
        raise errors.bad_parameter(f"The parameter value is larger than {LARGEST_VALUE} bytes.")
    return SecretValue(value)


def parse_attributes(body: dict[str, Any]) -> Attributes:
    """What a set or an update gives besides the value. A null counts as not given."""
    attributes = body.get("attributes")
    if attributes is None:
        attributes = {}
    if not isinstance(attributes, dict):
        raise errors.bad_parameter("The parameter attributes is not an object.")
    enabled = attributes.get("enabled")
    if enabled is not None and not isinstance(enabled, bool):
        raise errors.bad_parameter("The parameter attributes.enabled is not a boolean.")
    nbf, exp = _time(attributes, "nbf"), _time(attributes, "exp")
    if nbf is not None and exp is not None and nbf > exp:
        raise errors.bad_parameter("The parameter attributes.nbf is later than attributes.exp.")
    content_type = body.get("contentType")
    if content_type is not None and (not isinstance(content_type, str) or len(content_type) > LONGEST_CONTENT_TYPE):
        raise errors.bad_parameter(f"The parameter contentType is not a string of {LONGEST_CONTENT_TYPE} characters.")
    return Attributes(enabled=enabled, nbf=nbf, exp=exp, content_type=content_type, tags=_tags(body.get("tags")))


def _time(attributes: dict[str, Any], field: str) -> int | None:
    value = attributes.get(field)
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 0):
        raise errors.bad_parameter(f"The parameter attributes.{field} is not a time in seconds since 1970.")
    return value


def _tags(tags: object) -> dict[str, str] | None:
    if tags is None:
        return None
    if not isinstance(tags, dict) or not all(isinstance(value, str) for value in tags.values()):
        raise errors.bad_parameter("The parameter tags is not an object of strings.")
    if len(tags) > MAX_TAGS:
        raise errors.bad_parameter(f"The parameter tags has more than {MAX_TAGS} entries.")
    if any(len(text) > LONGEST_TAG for pair in tags.items() for text in pair):
        raise errors.bad_parameter(f"A tag's name or value is longer than {LONGEST_TAG} characters.")
    return tags


def bundle(url: str, version: Version, *, value: bool) -> dict[str, Any]:
    """A `SecretBundle`, with the value or without."""
    shown = {"value": version.value.reveal()} if value else {}
    return {**shown, "id": f"{url}/secrets/{version.name}/{version.version}", **_common(version)}


def item(url: str, version: Version, *, of_versions: bool) -> dict[str, Any]:
    """A `SecretItem`: in a list of versions the id names the version, in a list of secrets it does not."""
    suffix = f"/{version.version}" if of_versions else ""
    return {"id": f"{url}/secrets/{version.name}{suffix}", **_common(version)}


def deletion(url: str, version: Version) -> dict[str, Any]:
    """What a deleted secret's bundle or item has in addition."""
    return {
        "recoveryId": f"{url}/deletedsecrets/{version.name}",
        "deletedDate": version.deleted,
        "scheduledPurgeDate": version.purge_at,
    }


def _common(version: Version) -> dict[str, Any]:
    times = {"nbf": version.nbf, "exp": version.exp}
    attributes = {
        "enabled": version.enabled,
        **{field: at for field, at in times.items() if at is not None},
        "created": version.created,
        "updated": version.updated,
        "recoveryLevel": "Recoverable+Purgeable",
        "recoverableDays": RECOVERABLE_DAYS,
    }
    optional = {"contentType": version.content_type, "tags": version.tags}
    return {"attributes": attributes, **{field: given for field, given in optional.items() if given is not None}}


def with_port(url: str) -> str:
    """A vault's address as links to a next page have it: with the port, which ids leave out where it is the usual one.

    So the service writes them; see `_get_cache_key` in azure-keyvault-secrets, `_shared/http_challenge_cache.py`.
    """
    return url if urlsplit(url).port else f"{url}:443"


def skip_token(after: str) -> str:
    """An opaque mark of where the next page starts."""
    return base64.urlsafe_b64encode(after.encode()).decode().rstrip("=")


def parse_skip_token(token: str | None) -> str:
    """The name or version after which a page starts; "" for the first page."""
    if not token:
        return ""
    try:
        return base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode()
    except (ValueError, binascii.Error):
        raise errors.bad_parameter("The $skiptoken is not one of this vault's.") from None


def parse_page_size(text: str | None) -> int:
    """How many items a page has."""
    if text is None:
        return PAGE
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text) <= PAGE:
        raise errors.bad_parameter(f"The parameter maxresults must be between 1 and {PAGE}.")
    return int(text)
