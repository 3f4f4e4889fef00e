"""What would go wrong with the place of a deployment: its resource group, region, and the environments in its reach.

Sources: azure-cli, `az functionapp list-flexconsumption-locations` (geoRegions of Microsoft.Web: a region is there
where it has Flex Consumption, with FCZONEREDUNDANCY in orgDomain where that has zones;
Azure/terraform-azurerm-avm-res-web-serverfarm#134); Microsoft Learn, "Reliability in Azure Functions" (two instances
always ready for each group of functions, and billed), "Storage Resource Provider: Skus - List".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from infra.vaults.judged import Error, Findings, Vault, group_of

LEAST_EVERYWHERE = 40  # instances at most: some regions refuse a lower bound
SKUS = ("hostStorageSku", "ledgerStorageSku")
_ENVIRONMENTS = {
    "dev": "dev", "development": "dev", "test": "test", "tst": "test", "staging": "staging", "stage": "staging",
    "stg": "staging", "prod": "prod", "production": "prod", "prd": "prod",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Around:
    """What az tells of the deployment's subscription; None where it can't be told.

    groups: resource groups. regions: those of Flex Consumption. skus: of storage accounts.
    """

    groups: Sequence[Mapping[str, Any]]
    regions: Sequence[Mapping[str, Any]] | None
    skus: Sequence[Mapping[str, Any]] | None


def place(parameters: Mapping[str, Any], name: str, location: str, vaults: Sequence[Vault], around: Around) -> Findings:
    """What stands in the way. parameters: as {"value": …}, with the template's defaults."""

    def value(key: str) -> Any:
        return parameters.get(key, {}).get("value")

    region = _plain(value("location") or location)
    found = Findings()
    found.errors += _group(group_of(parameters, name), region, around.groups)
    if around.regions is not None:
        found.errors += _functions(region, around.regions, zones=bool(value("zoneRedundant")))
    if around.skus is not None:
        for key in SKUS:
            found.errors += _storage(key, str(value(key)), region, around.skus)
    found.warnings += _told(value("maximumInstances"), vaults, zones=bool(value("zoneRedundant")))
    return found


def tags_of(group: str, groups: Sequence[Mapping[str, Any]]) -> Mapping[str, str]:
    """The tags that a resource group has: the template would replace them all."""
    found = _named(group, groups)
    return (found or {}).get("tags") or {}


def _named(group: str, groups: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    return next((one for one in groups if str(one["name"]).lower() == group.lower()), None)


def _group(group: str, region: str, groups: Sequence[Mapping[str, Any]]) -> Iterator[Error]:
    found = _named(group, groups)
    if found is not None and _plain(found["location"]) != region:
        there = _plain(found["location"])
        yield (
            f"the resource group {group} is in {there}, and not in {region}",
            f"deploy to {there}, or write `param resourceGroupName = '…'` with a name that is free",
        )


def _functions(region: str, regions: Sequence[Mapping[str, Any]], *, zones: bool) -> Iterator[Error]:
    abilities = {_plain(one["name"]): str(one["properties"].get("orgDomain") or "").split(";") for one in regions}
    if region not in abilities:
        yield (
            f"{region} has no Flex Consumption",
            "take one of: az functionapp list-flexconsumption-locations --query [].name",
        )
    elif zones and "FCZONEREDUNDANCY" not in abilities[region]:
        able = ", ".join(sorted(one for one, words in abilities.items() if "FCZONEREDUNDANCY" in words))
        yield (
            f"{region} has no zones for Flex Consumption, and Azure would answer 400 without a reason",
            f"take `param zoneRedundant = true` out, or one of: {able}",
        )


def _storage(key: str, sku: str, region: str, skus: Sequence[Mapping[str, Any]]) -> Iterator[Error]:
    able = {
        str(one["name"])
        for one in skus
        if one.get("kind") == "StorageV2" and region in map(_plain, one["locations"]) and not one.get("restrictions")
    }
    if sku not in able:
        yield (
            f"{region} has no storage accounts of {sku}, which {key} asks for",
            f"write `param {key} = '…'` with one of: {', '.join(sorted(able))}",
        )


def _told(most: Any, vaults: Sequence[Vault], *, zones: bool) -> Iterator[str]:
    if isinstance(most, int) and most < LEAST_EVERYWHERE:
        yield (
            f"maximumInstances is {most}: some regions refuse less than {LEAST_EVERYWHERE}; and each group of "
            "functions (all of HTTP together, each other one by itself) may have so many"
        )
    if zones:
        yield "zoneRedundant: Azure keeps two instances of each group of functions always ready, and bills them"
    reach = {_ENVIRONMENTS[word]: one.name for one in vaults for word in _words(one) if word in _ENVIRONMENTS}
    if len(reach) > 1:
        told = ", ".join(f"{word} ({vault})" for word, vault in sorted(reach.items()))
        yield f"one identity would reach more than one environment: {told}. Make a deployment for each: docs/deploy.md"


def _words(vault: Vault) -> list[str]:
    return re.split(r"[^a-z]+", f"{vault.name} {vault.group}".lower())


def _plain(region: object) -> str:
    """Regions are told as "West Europe" and as "westeurope"."""
    return str(region).lower().replace(" ", "")
