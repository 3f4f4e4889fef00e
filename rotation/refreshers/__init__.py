"""Who can be asked to take a new version.

A new kind is one file here, one entry in this map, and its keys in `rotation.policy.refreshes`. Each is imported when
it is built: who has no `refresh` in the policy pays for none.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from rotation.addresses import AKS_CLUSTERS, CONTAINER_APPS, SITES, SLOTS
from rotation.frozen import Frozen

if TYPE_CHECKING:
    from rotation.ports import RotatorDependencies
    from rotation.refresh_targets import Refresher


class RefreshKind(Frozen):
    """All that is to be known of a kind without importing it.

    build: how it is made. does: what becomes of the refresh target, for docs. resources: types of Azure resources that
    it needs a right on, in lower case; empty where the right is not Azure's to give.
    """

    build: "Callable[[RotatorDependencies], Refresher]"
    does: str
    resources: tuple[str, ...] = ()


def _app_settings(services: "RotatorDependencies") -> "Refresher":
    from rotation.refreshers.app_settings import AppSettings  # noqa: PLC0415  imported when used

    return AppSettings(services)


def _container_app(services: "RotatorDependencies") -> "Refresher":
    from rotation.refreshers.container_app import ContainerApp  # noqa: PLC0415  imported when used

    return ContainerApp(services)


def _aks(services: "RotatorDependencies") -> "Refresher":
    from rotation.refreshers.aks import Aks  # noqa: PLC0415  imported when used

    return Aks(services)


def _webhook(services: "RotatorDependencies") -> "Refresher":
    from rotation.refreshers.webhook import Webhook  # noqa: PLC0415  imported when used

    return Webhook(services)


def _azure_devops(services: "RotatorDependencies") -> "Refresher":
    from rotation.refreshers.azure_devops import AzureDevOps  # noqa: PLC0415  imported when used

    return AzureDevOps(services)


def _github(services: "RotatorDependencies") -> "Refresher":
    from rotation.refreshers.github import GitHub  # noqa: PLC0415  imported when used

    return GitHub(services)


def _github_secret(services: "RotatorDependencies") -> "Refresher":
    from rotation.refreshers.github_secret import GitHubSecret  # noqa: PLC0415  imported when used

    return GitHubSecret(services)


def _azure_devops_connection(services: "RotatorDependencies") -> "Refresher":
    from rotation.refreshers.azure_devops_connection import Connection  # noqa: PLC0415  imported when used

    return Connection(services)


REFRESHERS: Mapping[str, RefreshKind] = MappingProxyType(
    {
        "app-settings": RefreshKind(
            _app_settings,
            does="App Service or Functions resolves its Key Vault references again",
            resources=(SITES, SLOTS),
        ),
        "container-app": RefreshKind(
            _container_app,
            does="the latest ready revision of a container app is restarted",
            resources=(CONTAINER_APPS,),
        ),
        "aks": RefreshKind(
            _aks,
            does="the pods of a deployment are replaced, as kubectl rollout restart does it",
            resources=(AKS_CLUSTERS,),
        ),
        "azure-devops": RefreshKind(_azure_devops, does="a run of an Azure DevOps pipeline is queued"),
        "github": RefreshKind(_github, does="a GitHub Actions workflow is started"),
        "github-secret": RefreshKind(
            _github_secret,
            does="the value is written into a secret of GitHub Actions",
        ),
        "azure-devops-connection": RefreshKind(
            _azure_devops_connection,
            does="the value is written into a service connection of Azure DevOps",
        ),
        "webhook": RefreshKind(_webhook, does="a signed message is sent to an address of yours"),
    }
)
