"""A preview that the compiler made, read: resources, the app's settings, rights.

What depends on Azure stays an expression of Azure Resource Manager in it, such as `[reference('…').clientId]`. Python
reads those as they are, and they are worked out here with answers that Azure could give.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.infra.compiled import Infra

# What environment() says in each cloud: Microsoft Learn, "Deployment functions for ARM templates".
CLOUDS: Mapping[str, Mapping[str, Any]] = {
    "AzureCloud": {
        "login": "https://login.microsoftonline.com/", "arm": "https://management.azure.com/",
        "storage": "core.windows.net", "vault": ".vault.azure.net", "sql": ".database.windows.net",
    },
    "AzureUSGovernment": {
        "login": "https://login.microsoftonline.us/", "arm": "https://management.usgovcloudapi.net/",
        "storage": "core.usgovcloudapi.net", "vault": ".vault.usgovcloudapi.net", "sql": ".database.usgovcloudapi.net",
    },
    "AzureChinaCloud": {
        "login": "https://login.chinacloudapi.cn/", "arm": "https://management.chinacloudapi.cn/",
        "storage": "core.chinacloudapi.cn", "vault": ".vault.azure.cn", "sql": ".database.chinacloudapi.cn",
    },
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Right:
    """Who may do what where. who: the identity's resource id; role: the definition's GUID or our own role's name."""

    who: str
    role: str
    scope: str


class Preview:
    """One example's, as kept in a folder of templates."""

    def __init__(self, name: str, infra: Infra | None = None, cloud: str = "AzureCloud") -> None:
        self._cloud = cloud
        found = (infra or Infra()).snapshot(name)
        self.resources: list[Any] = [self._plain(one) for one in found["predictedResources"]]

    def every(self, kind: str) -> list[Any]:
        """The resources of one type, without "Microsoft."."""
        return [one for one in self.resources if one["type"] == f"Microsoft.{kind}"]

    def one(self, kind: str, name: str = "") -> Any:
        """The only one of a type, or the only one whose id ends so."""
        (found,) = [one for one in self.every(kind) if one["id"].endswith(name)]
        return found

    def settings(self) -> dict[str, str]:
        """The app's, in their order."""
        rows = self.one("Web/sites")["properties"]["siteConfig"]["appSettings"]
        assert len({row["name"] for row in rows}) == len(rows)
        return {row["name"]: row["value"] for row in rows}

    def rights(self) -> set[Right]:
        """Every role assignment."""
        own = {one["name"]: one["properties"]["roleName"] for one in self.every("Authorization/roleDefinitions")}
        found = set()
        for one in self.every("Authorization/roleAssignments"):
            role = one["properties"]["roleDefinitionId"].rpartition("/")[2]
            who = one["properties"]["principalId"].partition("#")[0]
            found.add(Right(who, own.get(role, role), one["id"].partition("/providers/Microsoft.Authorization/")[0]))
        return found

    def _plain(self, value: Any) -> Any:
        match value:
            case dict():
                return {key: self._plain(inner) for key, inner in value.items()}
            case list():
                return [self._plain(inner) for inner in value]
            case str() if value.startswith("[") and not value.startswith("[["):
                return self._worked_out(value[1:-1])
        return value

    def _worked_out(self, expression: str) -> str:
        if "lambda(" in expression:
            return expression  # the id of a thing that is named by Azure
        return str(eval(expression, {"__builtins__": {}}, self._functions()))  # noqa: S307  of our own file

    def _functions(self) -> dict[str, Any]:
        its = CLOUDS[self._cloud]
        suffixes = _Said(storage=its["storage"], keyvaultDns=its["vault"], sqlServerHostname=its["sql"])
        sign_in = _Said(loginEndpoint=its["login"])
        environment = _Said(name=self._cloud, suffixes=suffixes, authentication=sign_in, resourceManager=its["arm"])
        return {
            "environment": lambda: environment,
            "reference": lambda about, *_: _Asked(about),
            "format": lambda text, *values: text.format(*values),
            "coalesce": lambda *values: next((one for one in values if one), None),
            "createArray": lambda *values: list(values),
            "createObject": lambda *pairs: _Said(zip(pairs[::2], pairs[1::2], strict=True)),
            "replace": lambda text, old, new: text.replace(old, new),
            "join": lambda values, by: by.join(values),
            "guid": lambda *values: "|".join(map(str, values)),
            "extensionResourceId": lambda scope, kind, name: f"{scope}/providers/{kind}/{name}",
            "resourceId": lambda sub, group, kind, name: (
                f"/subscriptions/{sub}/resourceGroups/{group}/providers/{kind}/{name}"
            ),
        }


class _Said(dict[str, Any]):
    __getattr__ = dict.__getitem__


class _Asked:
    """What `reference()` would answer: an address where one is asked for, a GUID, else who was asked for what."""

    def __init__(self, about: str) -> None:
        self._about = about

    def __getattr__(self, name: str) -> Any:
        match name:
            case "identity":
                return self
            case "endpoint":
                return "https://evgt-keyturn.westeurope-1.eventgrid.azure.net/api/events"
            case "clientId":
                return "55555555-5555-5555-5555-555555555555"
            case "customerId":
                return "66666666-6666-6666-6666-666666666666"
        return f"{self._about}#{name}"
