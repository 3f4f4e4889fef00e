"""Rights come out of one table, and each is given where it belongs and nowhere else."""

import json
import re
from collections.abc import Mapping

from tests.infra.bicep import INFRA, Computed, all_files, read
from tests.infra.promised import holds, made

FILES = all_files()
MAIN = read(INFRA / "main.bicep")
ROLES = read(INFRA / "modules/roles.bicep")


def test_every_right_comes_out_of_the_one_loop_over_the_table() -> None:
    grants = read(INFRA / "modules/grant.bicep")
    assert {file.name for file, _ in made("Microsoft.Authorization/roleAssignments")} == {grants.name}
    users = [(file.name, name) for file in FILES for name, module in file.modules.items() if "grant" in module.type]
    assert users == [("modules/roles.bicep", "assignments")]
    assert ROLES.modules["assignments"].over == "rights"
    assert ROLES.variables["table"].value == Computed("loadJsonContent('../roles.json')")
    guid = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-")
    assert not [file.name for file in FILES if guid.search(file.source.decode())]  # no role is named past the table


def rows() -> list[dict[str, str | None]]:
    """Every grant of the table, to the app and to Event Grid."""
    table = json.loads((INFRA / "roles.json").read_text())
    return [*table["grants"], *table["eventGrid"]]


def test_every_kind_of_place_in_the_table_is_known_to_main_and_the_other_way_round() -> None:
    places = MAIN.variables["places"].value
    assert isinstance(places, Mapping)
    scopes = {str(row["scope"]) for row in rows()}
    assert scopes - {"target"} == places.keys()


def test_every_row_of_the_table_is_a_built_in_role_or_a_custom_one_that_is_defined() -> None:
    custom = json.loads((INFRA / "roles.json").read_text())["customRoles"]
    for row in rows():
        assert (row["roleId"] is None) != (row["customRole"] is None), row["key"]
        assert row["customRole"] is None or row["customRole"] in custom
        assert row["roleId"] is None or re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", row["roleId"])


def test_every_type_of_resource_that_is_a_place_or_a_target_can_be_given_a_right() -> None:
    grants = read(INFRA / "modules/grant.bicep").resources.values()
    conditions = "\n".join(str(resource.condition) for resource in grants if not resource.existing)
    can = {kind.lower() for kind in re.findall(r"'(microsoft\.\w+/\w+)'", conditions)}
    places = "\n".join(str(MAIN.variables[name].value) for name in ("places", "allVaults", "hostStorageId", "topicId"))
    needed = set(re.findall(r"/(Microsoft\.\w+/\w+)/", places))
    needed |= {"Microsoft.Storage/storageAccounts", "Microsoft.DBforPostgreSQL/flexibleServers"}  # a policy's targets
    assert {kind.lower() for kind in needed} == can


def test_a_right_is_given_on_a_place_only_where_the_place_is_of_that_type() -> None:
    grants = read(INFRA / "modules/grant.bicep").resources
    given = [one for one in grants.values() if not one.existing]
    looked_up = {str(one.body["scope"].text) for one in given if isinstance(one.body.get("scope"), Computed)}  # type: ignore[union-attr]
    assert looked_up | {"blobs"} == {name for name, one in grants.items() if one.existing}
    for one in given:
        place = one.body.get("scope")
        if isinstance(place, Computed):
            where, alone = str(one.condition), str(grants[place.text].condition)
            assert where in {alone, alone.replace(")", " && !isContainer)")}, one.name


def test_custom_roles_have_exactly_the_actions_of_the_table() -> None:
    holds(ROLES, "definitions", permissions=[{
        "actions": Computed("table.customRoles[key].actions"),
        "notActions": [],
        "dataActions": Computed("table.customRoles[key].dataActions"),
        "notDataActions": [],
    }])  # fmt: skip
