"""`az bicep build-params`: the values of a .bicepparam file, as Bicep would print them."""

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path

from tests.infra.az.cloud import Cloud, Json, Options, Refused, one
from tests.infra.bicep import Computed, Value, read

_VARIABLE = re.compile(r"readEnvironmentVariable\('(\w+)', '([^']*)'\)")


def build_params(_cloud: Cloud, options: Options) -> Json:
    """With --stdout, the parameter file and the template as texts within JSON."""
    assert "--stdout" in options
    path = Path(one(options, "--file"))
    (used,) = re.findall(r"^using '(.+)'", path.read_text(), re.MULTILINE)
    if not (path.parent / used).exists():
        raise Refused(f"{path}(2,7) : Error BCP091: An error occurred reading file. Could not find file '{used}'.")
    values = {name: {"value": value} for name, value in parameters(path).items()}
    return {"parametersJson": json.dumps({"contentVersion": "1.0.0.0", "parameters": values}), "templateJson": "{}"}


def parameters(path: Path) -> dict[str, Json]:
    return {name: _plain(one.value) for name, one in read(path).variables.items()}


def _plain(value: Value) -> Json:
    match value:
        case Computed(text):
            found = _VARIABLE.search(text)
            assert found is not None, text
            said = os.environ.get(found[1], found[2])
            return json.loads(said) if text.startswith("json(") else said
        case Mapping():
            return {key: _plain(inner) for key, inner in value.items()}
        case str() | int() | None:
            return value
        case _:
            assert isinstance(value, list), value
            return [_plain(inner) for inner in value]
