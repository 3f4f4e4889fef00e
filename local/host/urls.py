"""Paths and queries as the real host reads them, and as it tells a function's URL.

Kestrel decodes a path once, but for a slash and for bytes that are no UTF-8, and takes its dots away; ASP.NET Core
writes it anew for the function. A query stays as it was sent. Sources: UrlDecoder.cs, PathNormalizer.cs, PathString.cs
and QueryFeature.cs of dotnet/aspnetcore; seen on the host 4.1037, as kept in tests/real_host/answers.json.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_RUN = re.compile(rb"(?:%[0-9A-Fa-f]{2})+")
_KEPT = re.compile(r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/]|%[0-9A-Fa-f]{2})+")  # PathString writes the rest in percent


class BadPath(ValueError):
    """The host refuses it with 400."""


def decoded_path(raw: str) -> str:
    """A path as routes are sought by; `raw` as it was sent, without the query.

    Raises:
        BadPath: it has a zero byte.
    """
    path = _unescaped(raw, keep=b"/")
    if "\0" in path:
        raise BadPath
    kept: list[str] = []
    segments = path.split("/")
    for number, segment in enumerate(segments):
        if segment == ".." and len(kept) > 1:
            kept.pop()
        if segment in {".", ".."}:
            if number == len(segments) - 1:
                kept.append("")
            continue
        kept.append(segment)
    return "/".join(kept)


def written_path(path: str) -> str:
    """As it stands in the URL that a function gets."""
    written, at = [], 0
    for found in _KEPT.finditer(path):
        written += [_escaped(path[at : found.start()]), found[0]]
        at = found.end()
    return "".join([*written, _escaped(path[at:])])


def parameters(query: str) -> dict[str, str]:
    """What a function gets of a query, the function key among it.

    What has no value is left out. What is repeated, in capitals or not, is joined by commas under its second spelling.
    """
    names: dict[str, list[str]] = {}
    values: dict[str, list[str]] = {}
    for name, value in _pairs(query):
        names.setdefault(name.lower(), []).append(name)
        values.setdefault(name.lower(), []).append(value)
    joined = {spelled[:2][-1]: ",".join(filter(None, values[name])) for name, spelled in names.items()}
    return {name: value for name, value in joined.items() if value}


def first(query: str, wanted: str) -> str | None:
    """The first value of a parameter, whatever the case of its name."""
    return next((value for name, value in _pairs(query) if name.lower() == wanted), None)


def _pairs(query: str) -> Iterator[tuple[str, str]]:
    for part in query.split("&"):
        if part:
            name, _, value = part.replace("+", " ").partition("=")
            yield _unescaped(name), _unescaped(value)


def _unescaped(text: str, keep: bytes = b"") -> str:
    """Percent signs decoded where they spell UTF-8; whatever does not, and `keep`, stays as it is."""

    def decode(run: re.Match[bytes]) -> bytes:
        sent = [run[0][at : at + 3] for at in range(0, len(run[0]), 3)]
        found, at = b"", 0
        while at < len(sent):
            size = next((size for size in (1, 2, 3, 4) if _is_text(sent[at : at + size], size)), 0)
            letter = bytes(int(one[1:], 16) for one in sent[at : at + size])
            found += letter if size and letter != keep else sent[at]
            at += size or 1
        return found

    return _RUN.sub(decode, text.encode("utf-8", "surrogateescape")).decode("utf-8", "surrogateescape")


def _is_text(sent: list[bytes], size: int) -> bool:
    if len(sent) < size:
        return False
    try:
        return len(bytes(int(one[1:], 16) for one in sent).decode()) == 1
    except UnicodeDecodeError:
        return False


def _escaped(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode("utf-8", "surrogateescape"))
