"""Where in a JSON answer something stands, written in one line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_STEP = re.compile(r"(?P<name>[A-Za-z]\w*)(?:\[(?P<field>\w+)=(?P<text>[^\]]*)\])?")


def pick(body: Mapping[str, Any], path: str) -> Any:
    """What is at a path such as "keys.primary" or "passwords[name=password2].value"; None: nothing is.

    "[field=text]" takes, of a list of objects, the first whose field has that text.

    Raises:
        TypeError: it is written otherwise than a path of this kind leads one to expect.
    """
    found: Any = body
    for step in _STEP.finditer(path):
        if found is None:
            return None
        if not isinstance(found, Mapping):
            raise TypeError
        found = found.get(step["name"])
        if step["field"] and found is not None:
            if not isinstance(found, list):
                raise TypeError
            found = next((one for one in found if one[step["field"]] == step["text"]), None)
    return found
