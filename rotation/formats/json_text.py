"""The fields of a flat JSON object, and where each is in the text.

The object is checked and read by the standard library; where its fields are is found by a scanner, so that spacing,
order, escapes and numbers stay as they were written.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from rotation.errors import Unusable
from rotation.formats.parts import check_count
from rotation.formats.value import NotUnderstood, check_characters

_STRING = r'"(?:[^"\\]|\\.)*+"'
_PAIR = re.compile(rf'[\s,]*+({_STRING})\s*+:\s*+({_STRING}|[^\s",:}}]++)', re.DOTALL)


class _Number(str):
    """As it is written: no reader needs its value, and one of 5,000 digits has none in Python."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Field:
    """A field of the object; start and end: of what is behind its colon."""

    name: str
    text: str
    start: int
    end: int
    is_string: bool
    is_number: bool
    is_null: bool


def fields_of(text: str) -> Sequence[Field]:
    """The fields, in the order in which they are written.

    Raises:
        Unusable: the text is no JSON object, or not flat, has a field twice (capitals do not count), or has too many.
    """
    found = _parsed(text)
    # Each may be a connection string, which is looked at as one: thousands of them took a quarter of a second.
    check_count(len(found), "fields")
    position = text.index("{") + 1
    fields: list[Field] = []
    for name, value in found.items():
        pair = _PAIR.match(text, position)
        if pair is None or isinstance(value, dict | list):
            raise NotUnderstood("the JSON object has an object or a list in it: write a flat one, of fields with texts")
        position = pair.end()
        is_string = pair[2].startswith('"')
        fields.append(
            Field(
                name,
                str(value),
                pair.start(2),
                pair.end(2),
                is_string=is_string,
                is_number=isinstance(value, _Number),
                is_null=value is None,
            )
        )
    return fields


def write(text: str) -> str:
    """A string of JSON."""
    return json.dumps(text, ensure_ascii=False)


def _parsed(text: str) -> dict[str, object]:
    try:
        found = json.loads(
            text, object_pairs_hook=_once, parse_int=_Number, parse_float=_Number, parse_constant=_no_number
        )
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Unusable("the value begins like a JSON object, and is none", field="value")
    return found


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    if len({key.lower() for key, _ in pairs}) != len(pairs):
        raise NotUnderstood("a field is twice in the JSON object")
    for one in (one for pair in pairs for one in pair if isinstance(one, str)):
        check_characters(one)
        if "\0" in one:
            raise NotUnderstood("the JSON object holds a NUL character")
    return dict(pairs)


def _no_number(_text: str) -> NoReturn:
    message = "NaN and Infinity are no numbers of JSON"
    raise ValueError(message)
