"""What is said of a deployment's resource group, its region and its environments before anything is made."""

from typing import Any

import pytest

from infra.vaults.judged import Findings, wanted
from infra.vaults.place import Around, place, tags_of
from tests.infra.az.cloud import SUBSCRIPTION, Cloud
from tests.infra.az.resources import _regions, _skus
from tests.infra.shell import NAME

VAULT = {"name": "kv-orders-prod", "resourceGroup": "rg-orders-prod"}
GROUP = {"name": f"rg-{NAME}", "location": "westeurope", "tags": {"owner": "platform"}}


def judged(
    *vaults: dict[str, str], location: str = "westeurope", groups: tuple[Any, ...] = (), told: bool = True, **given: Any
) -> Findings:
    defaults = {"hostStorageSku": "Standard_LRS", "ledgerStorageSku": "Standard_ZRS", "maximumInstances": 40}
    asked = {**defaults, "location": None, "vaults": list(vaults or (VAULT,)), **given}
    parameters = {key: {"value": value} for key, value in asked.items() if value is not None}
    cloud = Cloud()
    around = Around(groups, _regions(cloud) if told else None, _skus(cloud) if told else None)
    return place(parameters, NAME, location, wanted(parameters, NAME, location, SUBSCRIPTION), around)


def test_nothing_is_said_of_a_place_that_is_right() -> None:
    for findings in (judged(), judged(groups=(GROUP,)), judged(location="West Europe", groups=(GROUP,))):
        assert (findings.errors, findings.warnings) == ([], [])


@pytest.mark.parametrize(
    ("asked", "wrong", "remedy"),
    [
        ({"groups": ({**GROUP, "location": "northeurope"},)}, "is in northeurope", "deploy to northeurope"),
        ({"groups": ({**GROUP, "name": "RG-Mine", "location": "northeurope"},), "resourceGroupName": "rg-mine"},
         "rg-mine is in northeurope", "resourceGroupName"),
        ({"location": "eastasia", "told": True}, "eastasia has no Flex Consumption", "list-flexconsumption-locations"),
        ({"zoneRedundant": True, "location": "westus"}, "400 without a reason", "or one of: westeurope"),
        ({"ledgerStorageSku": "Standard_RAGRS"}, "which ledgerStorageSku asks for", "Standard_GZRS, Standard_LRS"),
        ({"hostStorageSku": "Standard_RAGRS"}, "which hostStorageSku asks for", "`param hostStorageSku = "),
    ],
)  # fmt: skip
def test_what_azure_would_refuse_is_said_with_its_remedy(asked: dict[str, Any], wrong: str, remedy: str) -> None:
    told = [one for one in judged(**asked).errors if wrong in one[0]]
    assert len(told) == 1
    assert remedy in told[0][1]


def test_a_region_that_is_written_in_the_parameters_wins() -> None:
    parameters = {"location": {"value": "westeurope"}}
    around = Around([{**GROUP, "location": "northeurope"}], None, None)
    (error,) = place(parameters, NAME, "northeurope", [], around).errors
    assert "is in northeurope, and not in westeurope" in error[0]


def test_what_can_t_be_told_is_not_taken_for_not_to_be_had() -> None:
    assert judged(location="nowhere", told=False).errors == []


def test_zones_and_few_instances_are_told_with_their_price() -> None:
    (told,) = judged(zoneRedundant=True).warnings
    assert "two instances of each group of functions always ready, and bills them" in told
    (told,) = judged(maximumInstances=39).warnings
    assert "some regions refuse less than 40" in told


@pytest.mark.parametrize(
    ("names", "groups", "told"),
    [
        (("kv-orders-prod", "kv-orders-staging"), ("rg", "rg"), "prod (kv-orders-prod), staging (kv-orders-staging)"),
        (("kv-a", "kv-b"), ("rg-shared-dev", "rg-shared-production"), "dev (kv-a), prod (kv-b)"),
        (("kv-test1", "kvstaging"), ("rg", "rg"), None),
        (("kv-latest", "kv-product"), ("rg-developers", "rg"), None),
        (("kv-orders-prod", "kv-billing-prd"), ("rg-prod", "rg-prod"), None),
    ],
)
def test_more_than_one_environment_in_one_identity_s_reach_is_told(
    names: tuple[str, ...], groups: tuple[str, ...], told: str | None
) -> None:
    asked = [{"name": name, "resourceGroup": group} for name, group in zip(names, groups, strict=True)]
    warnings = judged(*asked).warnings
    assert [told in one for one in warnings] == ([True] if told else [])  # type: ignore[operator]


def test_the_tags_of_a_group_are_found_however_it_is_spelt() -> None:
    assert tags_of(f"RG-{NAME}", [GROUP]) == {"owner": "platform"}
    assert tags_of("rg-other", [GROUP]) == {}
    assert tags_of("rg-none", [{"name": "rg-none", "location": "x", "tags": None}]) == {}
