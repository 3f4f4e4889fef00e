"""What Azure's resource types take, out of the models of Microsoft's own SDKs.

Nothing here compiles Bicep, so that a misspelled property would only be seen by Azure. The SDKs' models are made from
the same specifications as Bicep's types: for each object that our files write, schemas.json keeps the names that may
stand in it (without those that are read only), and a test holds the files to it.

`python -m tests.infra.schemas` writes it anew. Needs PyPI, and is needed only where an object that is not in
schemas.json is written, or another API version is asked for.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.infra.bicep import ROOT, Declared, File, Repeated, Value, all_files

SCHEMAS = Path(__file__).with_name("schemas.json")
CACHE = ROOT / ".cache" / "schemas"

# Resource type and API version -> the wheel, the folder of its models, the model. The folder's API version is the same
# but for two, where no wheel has ours: "≈" says so, and its nearest stands there.
SOURCES: Mapping[str, tuple[str, str, str]] = {
    "Microsoft.Authorization/roleAssignments@2022-04-01":
        ("azure-mgmt-authorization==4.0.0", "authorization/v2022_04_01", "RoleAssignmentCreateParameters"),
    "Microsoft.Authorization/roleDefinitions@2022-04-01":
        ("azure-mgmt-authorization==4.0.0", "authorization/v2022_04_01", "RoleDefinition"),
    "Microsoft.EventGrid/systemTopics@2025-02-15": ("azure-mgmt-eventgrid==10.4.0", "eventgrid", "SystemTopic"),
    "Microsoft.EventGrid/systemTopics/eventSubscriptions@2025-02-15":
        ("azure-mgmt-eventgrid==10.4.0", "eventgrid", "EventSubscription"),
    "Microsoft.EventGrid/topics@2025-02-15": ("azure-mgmt-eventgrid==10.4.0", "eventgrid", "Topic"),
    "Microsoft.Insights/actionGroups@2023-01-01":
        ("azure-mgmt-monitor==6.0.2", "monitor/v2023_01_01", "ActionGroupResource"),
    "Microsoft.Insights/components@2020-02-02":
        ("azure-mgmt-applicationinsights==4.1.0", "applicationinsights/v2020_02_02", "ApplicationInsightsComponent"),
    "Microsoft.Insights/diagnosticSettings@2021-05-01-preview":
        ("azure-mgmt-monitor==6.0.2", "monitor/v2021_05_01_preview", "DiagnosticSettingsResource"),
    "Microsoft.Insights/metricAlerts@2018-03-01":
        ("azure-mgmt-monitor==6.0.2", "monitor/v2018_03_01", "MetricAlertResource"),
    "Microsoft.Insights/scheduledQueryRules@2022-06-15":
        ("azure-mgmt-monitor==6.0.2", "≈monitor/v2022_08_01_preview", "ScheduledQueryRuleResource"),
    "Microsoft.Insights/workbooks@2023-06-01":
        ("azure-mgmt-applicationinsights==4.1.0", "applicationinsights/v2023_06_01", "Workbook"),
    "Microsoft.KeyVault/vaults@2024-11-01":
        ("azure-mgmt-keyvault==12.0.0", "keyvault", "VaultCreateOrUpdateParameters"),
    "Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31":
        ("azure-mgmt-msi==7.0.0", "msi/v2023_01_31", "Identity"),
    "Microsoft.Network/networkSecurityGroups@2024-05-01":
        ("azure-mgmt-network==28.1.0", "network", "NetworkSecurityGroup"),
    "Microsoft.Network/privateDnsZones@2024-06-01": ("azure-mgmt-privatedns==2.0.0", "privatedns", "PrivateZone"),
    "Microsoft.Network/privateDnsZones/virtualNetworkLinks@2024-06-01":
        ("azure-mgmt-privatedns==2.0.0", "privatedns", "VirtualNetworkLink"),
    "Microsoft.Network/privateEndpoints@2024-05-01": ("azure-mgmt-network==28.1.0", "network", "PrivateEndpoint"),
    "Microsoft.Network/privateEndpoints/privateDnsZoneGroups@2024-05-01":
        ("azure-mgmt-network==28.1.0", "network", "PrivateDnsZoneGroup"),
    "Microsoft.Network/virtualNetworks@2024-05-01": ("azure-mgmt-network==28.1.0", "network", "VirtualNetwork"),
    "Microsoft.OperationalInsights/workspaces@2023-09-01":
        ("azure-mgmt-loganalytics==13.1.1", "≈loganalytics", "Workspace"),
    "Microsoft.Resources/resourceGroups@2025-04-01":
        ("azure-mgmt-resource==26.0.0", "resource/resources", "ResourceGroup"),
    "Microsoft.Storage/storageAccounts@2024-01-01":
        ("azure-mgmt-storage==23.0.1", "storage", "StorageAccountCreateParameters"),
    "Microsoft.Storage/storageAccounts/blobServices@2024-01-01":
        ("azure-mgmt-storage==23.0.1", "storage", "BlobServiceProperties"),
    "Microsoft.Storage/storageAccounts/blobServices/containers@2024-01-01":
        ("azure-mgmt-storage==23.0.1", "storage", "BlobContainer"),
    "Microsoft.Storage/storageAccounts/blobServices/containers/immutabilityPolicies@2024-01-01":
        ("azure-mgmt-storage==23.0.1", "storage", "ImmutabilityPolicy"),
    "Microsoft.Storage/storageAccounts/managementPolicies@2024-01-01":
        ("azure-mgmt-storage==23.0.1", "storage", "ManagementPolicy"),
    "Microsoft.Storage/storageAccounts/queueServices@2024-01-01":
        ("azure-mgmt-storage==23.0.1", "storage", "QueueServiceProperties"),
    "Microsoft.Storage/storageAccounts/queueServices/queues@2024-01-01":
        ("azure-mgmt-storage==23.0.1", "storage", "StorageQueue"),
    "Microsoft.Web/serverfarms@2024-04-01": ("azure-mgmt-web==8.0.0", "web/v2024_04_01", "AppServicePlan"),
    "Microsoft.Web/sites@2024-04-01": ("azure-mgmt-web==8.0.0", "web/v2024_04_01", "Site"),
    "Microsoft.Web/sites/basicPublishingCredentialsPolicies@2024-04-01":
        ("azure-mgmt-web==8.0.0", "web/v2024_04_01", "CsmPublishingCredentialsPoliciesEntity"),
    "Microsoft.Web/sites/config@2024-04-01": ("azure-mgmt-web==8.0.0", "web/v2024_04_01", "SiteAuthSettingsV2"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Model:
    """fields: JSON name, dotted where it is flattened -> the model of its value, "" where it is none of theirs.

    A dot that belongs to a name is written "•".
    """

    bases: tuple[str, ...]
    fields: Mapping[str, str]
    kind: str | None  # the value of the discriminator by which this one is told from others


def objects(value: Value, path: str = "") -> Iterator[tuple[str, Mapping[str, Value]]]:
    """(path, object) of each object in a value; `[]` stands for each element of a list."""
    if isinstance(value, Repeated):
        yield from objects(value.body, f"{path}[]")
    elif isinstance(value, Mapping):
        yield path, value
        for key, inner in value.items():
            yield from objects(inner, f"{path}.{key}".lstrip("."))
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for inner in value:
            yield from objects(inner, f"{path}[]")


def resources() -> Iterator[tuple[File, Declared]]:
    """Every resource that our files make."""
    for file in all_files():
        yield from ((file, resource) for resource in file.resources.values() if not resource.existing)


def main() -> None:
    """Write schemas.json."""
    written: dict[str, dict[str, list[str] | str]] = {}
    for _, resource in resources():
        wheel, folder, name = SOURCES[resource.type]
        models = _models(wheel, folder.removeprefix("≈"))
        entry = written.setdefault(resource.type, {"from": f"{wheel}, {folder}, {name}"})
        for path, value in objects(resource.body):
            names = _names(models, name, path, value, resource.body)
            if names is not None:
                entry[path] = sorted({*names, *_listed(entry.get(path))})
    SCHEMAS.write_text(json.dumps(written, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
    print(f"{len(written)} resource types, {sum(len(one) - 1 for one in written.values())} objects")  # noqa: T201


def _listed(found: list[str] | str | None) -> list[str]:
    return found if isinstance(found, list) else []


def _names(
    models: Mapping[str, Model], name: str, path: str, value: Mapping[str, Value], body: Mapping[str, Value]
) -> set[str] | None:
    """The names that may stand in the object at a path. None: its keys are the user's, such as tags."""
    model, prefix, here, owner = name, "", body, body  # owner: the object that `model` is the model of
    for step in [one for one in path.replace("[]", "").split(".") if one]:
        fields = _fields(models, model, owner)
        prefix = f"{prefix}.{step}".lstrip(".")
        here = _inner(here, step)
        if prefix in fields:
            model, prefix, owner = fields[prefix], "", here
            if not model:
                return None
        elif not any(one.startswith(f"{prefix}.") for one in fields):
            raise SystemExit(f"{name} has no {path}: {step} is none of {', '.join(sorted(fields))}")
    lead = f"{prefix}." if prefix else ""
    found = _fields(models, model, owner if prefix else value)
    return {one.removeprefix(lead).partition(".")[0] for one in found if one.startswith(lead)}


def _inner(value: Mapping[str, Value], step: str) -> Mapping[str, Value]:
    inner = value.get(step)
    while not isinstance(inner, Mapping):
        if isinstance(inner, Repeated):
            inner = inner.body
        elif isinstance(inner, Sequence) and not isinstance(inner, str) and inner:
            inner = inner[0]
        else:
            return {}
    return inner


def _fields(models: Mapping[str, Model], name: str, value: Mapping[str, Value]) -> dict[str, str]:
    """A model's own and inherited, and those of the heir that a discriminator in `value` names."""
    kinds = {one for one in value.values() if isinstance(one, str)}
    heirs = [heir for heir, model in models.items() if name in model.bases and model.kind in kinds]
    found = dict(models[name].fields)
    for base in models[name].bases:
        if base in models:
            found = dict(models[base].fields) | found
    for heir in heirs:
        found |= _fields(models, heir, {})
    return found


def _models(wheel: str, folder: str) -> dict[str, Model]:
    target = CACHE / wheel
    if not target.is_dir():
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(CACHE), wheel]
        subprocess.run(command, check=True)  # a pinned package of Microsoft's
        package, _, version = wheel.partition("==")
        (archive,) = CACHE.glob(f"{package.replace('-', '_')}-{version}-*.whl")
        zipfile.ZipFile(archive).extractall(target)
    where = target / "azure" / "mgmt" / folder / "models"
    source = next(path for path in (where / "_models_py3.py", where / "_models.py") if path.is_file())
    tree = ast.parse(source.read_text())
    return {node.name: _model(node) for node in tree.body if isinstance(node, ast.ClassDef)}


def _model(node: ast.ClassDef) -> Model:
    bases = tuple(ast.unparse(base).rpartition(".")[2] for base in node.bases)
    assigned = {ast.unparse(line.targets[0]): line.value for line in ast.walk(node) if isinstance(line, ast.Assign)}
    if "_attribute_map" in assigned:
        attributes = ast.literal_eval(assigned["_attribute_map"])
        rules = ast.literal_eval(assigned["_validation"]) if "_validation" in assigned else {}
        fields = {
            one["key"].replace("\\.", "•"): _known(one["type"])
            for name, one in attributes.items()
            if not rules.get(name, {}).get("readonly")
        }
        return Model(bases, fields, _kind(node))
    fields = {}
    for line in node.body:
        if isinstance(line, ast.AnnAssign) and isinstance(line.value, ast.Call):
            keywords = [one for one in line.value.keywords if one.arg in {"name", "visibility"}]
            arguments = {one.arg: ast.literal_eval(one.value) for one in keywords}
            if arguments.get("visibility") != ["read"]:
                fields[str(arguments.get("name", ast.unparse(line.target)))] = _known(ast.unparse(line.annotation))
    keyword = next((str(ast.literal_eval(one.value)) for one in node.keywords if one.arg == "discriminator"), None)
    return Model(bases, fields, keyword)


def _kind(node: ast.ClassDef) -> str | None:
    """`self.endpoint_type: str = "AzureFunction"` in the constructor."""
    found = re.search(r"self\.\w+(?:: [\w\[\], .]+)? = ['\"]([^'\"]+)['\"]", ast.unparse(node))
    return found[1] if found else None


def _known(kind: str) -> str:
    """The model in `[Model]`, `Model` or `Optional["_models.Model"]`. Maps' keys are the user's: "" for them."""
    if kind.startswith("{") or "dict[" in kind.lower():
        return ""
    name = re.search(r"_models\.(\w+)", kind) or re.fullmatch(r"\[?(\w+)\]?", kind)
    return name[1] if name and name[1][0].isupper() and name[1] not in {"Any", "Optional"} else ""


if __name__ == "__main__":
    main()
