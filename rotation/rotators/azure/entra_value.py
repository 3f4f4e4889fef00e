"""The value of a secret that holds an application's client secret: the secret alone, or what names it.

What is no secret must not be taken for one: it would be replaced whole. "Microsoft Entra client secret" in Purview's
list of credentials has the alphabet and the 40 characters of today's, Microsoft's security-utilities (SEC101/156, /101)
these and the 34 of older ones; others have other signs and 16 to 64 characters ("passwordCredential resource type").
"""

from __future__ import annotations

import re

from rotation.errors import Unusable
from rotation.formats import Value, read, read_for_azure
from rotation.model import SecretValue, Spec
from rotation.rotators.leaves import leaves, plain_name, readings

_SECRET = re.compile(r"[A-Za-z0-9_~.-]{34,40}")
_ID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_OLDER = re.compile(r"[A-Za-z0-9!#$%&()*+./:=?@\[\]\\^_|~-]{1,64}")
_NAMED = re.compile(
    rf"[\w.-]+[=:].*(?:{_SECRET.pattern})|\w*(?:secret|password|pwd|key|token)\w*[=:].*|.*://.*", re.IGNORECASE
)
_PROBE = "A" * 40
_CLIENT_SECRET = ("clientsecret", "appsecret", "applicationsecret")
_CLIENT_ID = frozenset(
    {"clientid", "appid", "applicationid", "azureclientid", "azureadclientid", "aadclientid", "armclientid"}
)


def read_secret(value: SecretValue, spec: Spec) -> Value:
    """The value of a secret for an application; the client secret is its password.

    Raises:
        Unusable: it holds none, more than one, or a second copy.
    """
    text = value.reveal()
    if spec.format is None and _is_secret(text):
        return read(value, "plain")
    found = read_for_azure(value, spec.format)
    password = found.password.reveal()
    named = [leaf for name, leaf in leaves(text) if name.endswith(_CLIENT_SECRET)]
    named_so = spec.format is not None or bool(named and found.name != "plain")
    if not (_is_secret(password) or (named_so and _is_older(password))) or (found.name == "plain" and not spec.format):
        raise Unusable(
            "the value is no client secret alone, nor a form that names one: write the secret's value (not its id), or "
            "set the tag format to plain if it is one of another shape",
            field="value",
        )
    if any(leaf != password for leaf in named):
        raise Unusable("the value holds other passwords beside its client secret: keep each in its own", field="value")
    for _, leaf in leaves(found.with_login(SecretValue(_PROBE)).reveal()):
        if any(password in reading for reading in readings(leaf)):
            raise Unusable("the value holds its client secret twice, and one would stay: leave one", field="value")
    return found


def client_ids(value: Value) -> set[str]:
    """The client ids that a value names, in lower case."""
    if value.name == "plain":
        return set()
    named = [(name, leaf) for name, leaf in leaves(value.text.reveal()) if name]
    named += [(plain_name(name), leaf) for name, leaf in value.options.items()]
    found = {leaf.lower() for name, leaf in named if name in _CLIENT_ID}
    # In a connection string the user is the client, with or without its tenant.
    return found if value.name == "json" or value.user is None else {*found, value.user.partition("@")[0].lower()}


def _is_secret(text: str) -> bool:
    """Of the shape that secrets have, and no id: it is an easy mistake to write down a secret's id in its place."""
    return _SECRET.fullmatch(text) is not None and _ID.fullmatch(text) is None


def _is_older(text: str) -> bool:
    return _OLDER.fullmatch(text) is not None and not _ID.fullmatch(text) and not _NAMED.fullmatch(text)
