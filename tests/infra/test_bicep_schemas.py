"""Every property that a resource is given is one that Azure's resource type has, as Microsoft's own SDKs know it."""

import json

import pytest

from tests.infra.bicep import Declared, File, Repeated, Value, all_files, read
from tests.infra.schemas import SCHEMAS, SOURCES, objects, resources

KNOWN = json.loads(SCHEMAS.read_text())
# What Bicep itself takes besides the resource type's own.
OURS = {"name", "parent", "scope", "dependsOn"}
MADE = list(resources())


@pytest.mark.parametrize(("file", "resource"), MADE, ids=[f"{file.name}:{one.name}" for file, one in MADE])
def test_a_resource_has_no_property_that_its_type_has_not(file: File, resource: Declared) -> None:
    known = KNOWN[resource.type]
    for path, value in objects(resource.body):
        if path in known:
            own = {key.replace(".", "•") for key in value} - (OURS if not path else set())
            assert own <= set(known[path]), f"{file.name}, {resource.name}, {path or 'the resource'}"
        else:
            assert _is_the_user_s(path), f"{resource.type} {path}: make it known by `python -m tests.infra.schemas`"


def _is_the_user_s(path: str) -> bool:
    return path in {"tags", "identity.userAssignedIdentities", "identity.userAssignedIdentities.'${identityId}'"}


def test_the_rules_of_the_app_s_doors_are_known_too() -> None:
    doors: Value = read(SCHEMAS.parents[2] / "infra/modules/function-app.bicep").variables["doors"].value
    written = {
        key for key in ("name", "description", "tag", "ipAddress", "action", "priority") if f"{key}:" in str(doors)
    }
    assert written <= {"name", "description", "tag", "ipAddress", "action", "priority", "vnetSubnetResourceId"}
    assert not isinstance(doors, Repeated)


def test_every_object_that_is_known_has_names() -> None:
    assert not [(kind, path) for kind, paths in KNOWN.items() for path, names in paths.items() if not names]


def test_every_type_and_version_that_is_used_has_its_source_and_no_other_has() -> None:
    used = {resource.type for _, resource in MADE}
    assert used == KNOWN.keys() == SOURCES.keys()


def test_a_resource_that_is_only_looked_up_has_a_type_and_version_that_is_made_elsewhere() -> None:
    looked_up = {one.type for file in all_files() for one in file.resources.values() if one.existing}
    assert looked_up - KNOWN.keys() == {"Microsoft.DBforPostgreSQL/flexibleServers@2024-08-01"}  # a policy's target


@pytest.mark.parametrize("path", ["properties.allowSharedKeyAcess", "properties.networkAcls.bypas", "skuu"])
def test_a_misspelled_property_is_found(path: str) -> None:
    above, _, name = path.rpartition(".")
    assert name not in KNOWN["Microsoft.Storage/storageAccounts@2024-01-01"][above]
