"""`az bicep`, and what a deployment makes of a parameter file: Azure's own compiler, where `az` runs it too."""

import json
import os
from pathlib import Path

from tests.infra.az.cloud import Cloud, Json, Options, Refused, one
from tests.infra.compiled import VERSION, Infra, Told


def version(cloud: Cloud, _options: Options) -> Json:
    return f"Bicep CLI version {cloud.get('bicep', VERSION)} (b34271ac51)"


def build(cloud: Cloud, options: Options) -> Json:
    assert "--stdout" in options
    path = Path(one(options, "--file"))
    if path.name in cloud.get("broken_templates", []):
        raise Refused(f"{path}(1,1) : Error BCP037: The property is not allowed.")
    return sound(told("build", path))


def build_params(_cloud: Cloud, options: Options) -> Json:
    """With --stdout, the parameter file and the template as texts within JSON."""
    assert "--stdout" in options
    return sound(told("build-params", Path(one(options, "--file"))))


def parameters(path: Path) -> dict[str, Json]:
    """The values of a parameter file."""
    found = json.loads(sound(told("build-params", path))["parametersJson"])["parameters"]
    return {name: value["value"] for name, value in found.items()}


def declared(template: Path) -> dict[str, Json]:
    """The parameters that a template has -> whether it must be given one."""
    found = sound(told("build", template))["parameters"]
    return {name: "defaultValue" not in one and not one.get("nullable") for name, one in found.items()}


def told(command: str, path: Path) -> Told:
    return Infra(path.parent).told(command, path.name, KEYTURN_CLIENT_ID=os.environ.get("KEYTURN_CLIENT_ID", ""))


def sound(said: Told) -> Json:
    if said.code:
        raise Refused("\n".join(said.findings))
    return json.loads(said.out)
