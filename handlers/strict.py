"""What a call says, read so that nothing is passed over: what is not understood is refused before anything is done.

The Functions host drops parameters without a value and joins repeated ones, whatever their case, before a function
gets them, and reads no body that has no Content-Length (GrpcMessageConversionExtensions.cs of
Azure/azure-functions-host). So a wish to look only could be lost on the way. The URL comes whole, and is what counts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from urllib.parse import unquote_to_bytes

from handlers.http import HttpRequest
from rotation.errors import LengthRequired, Malformed

# The function key's name, in any case (AuthenticationLevelHandler.cs of Azure/azure-functions-host). It is passed over.
_HOSTS = "code"
# A name that an answer may repeat. What is longer, or holds other signs, may be a key at the wrong place.
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,31}")
_BROKEN = re.compile(r"%(?![0-9A-Fa-f]{2})")


def query(http_request: HttpRequest, *known: str) -> Mapping[str, str]:
    """The parameters of the URL, each of them known, with a value and there once; without the function key.

    Raises:
        Malformed: `field` names the parameter; "query" where it has no name that may be repeated.
        LengthRequired: a body was sent that the host does not hand over.
    """
    if "transfer-encoding" in http_request.headers:
        raise LengthRequired(
            "a body that is sent in chunks does not reach the app: send it with a Content-Length, or send none",
            field="body",
        )
    found: dict[str, str] = {}
    _, mark, text = http_request.url.partition("?")
    for part in text.split("&") if mark else ():
        if not part:
            raise Malformed(
                "a part of the query says nothing: leave out the ? or & that nothing follows", field="query"
            )
        written, _, value = part.partition("=")
        name = _decoded(written)
        if name.lower() == _HOSTS:
            continue
        if name not in known:
            raise _unknown(name, known, "parameter", "query")
        if name in found:
            raise _repeated(name, "query")
        if not value:
            raise Malformed(f"{name} has no value: write {name}=…, or leave it out", field=name)
        found[name] = _decoded(value)
    return found


def no_body(http_request: HttpRequest, remedy: str) -> None:
    """Nothing was sent beside the URL. remedy: where what is asked for belongs.

    Raises:
        Malformed: of the field "body".
    """
    if http_request.body or http_request.headers.get("content-length", "0").strip("0 "):
        raise Malformed(f"this call takes no body: {remedy}", field="body")


def looks_only(http_request: HttpRequest) -> None:
    """A call that asks for nothing but what its path names.

    Raises:
        Malformed: it says something else.
        LengthRequired: as `query`.
    """
    query(http_request)
    no_body(http_request, "send nothing")


def json_object(http_request: HttpRequest, *known: str) -> Mapping[str, object]:
    """The fields of the body, each of them known and there once.

    Raises:
        Malformed: `field` names the field; "body" where it has no name that may be repeated.
    """
    try:
        fields = json.loads(http_request.body, object_pairs_hook=_once)
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict) or not fields:
        raise Malformed(f"the body is a JSON object with {_listed(known)}", field="body")
    for name in fields:
        if name not in known:
            raise _unknown(name, known, "field", "body")
    return fields


def _decoded(text: str) -> str:
    """As the host reads it: + is a blank."""
    if _BROKEN.search(text) is None:
        try:
            return unquote_to_bytes(text.replace("+", " ")).decode()
        except UnicodeDecodeError:
            pass
    raise Malformed("the query has percent signs that mean no text: encode it as UTF-8", field="query")


def _once(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise _repeated(next(name for name in found if names.count(name) > 1), "body")
    return found


def _repeated(name: str, place: str) -> Malformed:
    """A parameter or field that is there again, whose values may contradict each other."""
    shown = _NAME.fullmatch(name) is not None
    return Malformed(f"{name if shown else 'a name'} is there twice: write it once", field=name if shown else place)


def _unknown(name: str, known: Collection[str], kind: str, place: str) -> Malformed:
    meant = next((one for one in known if one.lower() == name.lower()), None)
    if meant is not None:
        return Malformed(f"{name} is written {meant}", field=name)
    takes = _listed(known) if known else "none"
    if _NAME.fullmatch(name) is None:
        return Malformed(f"the {place} has a name that is no {kind} of this call, which takes {takes}", field=place)
    return Malformed(f"{name} is no {kind} of this call, which takes {takes}", field=name)


def _listed(known: Collection[str]) -> str:
    return ", ".join(f'"{one}"' for one in known)
