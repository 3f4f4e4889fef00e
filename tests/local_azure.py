"""The stand-in for Azure's planes in this process, and what rotators need to reach it."""

import contextlib
import os
import random
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from local.azure import LocalAzure
from local.azure.faults import Fault, Kind
from local.certificates import Certificates
from local.identity import APP_CLIENT_ID
from local.rights import APP_OID, deployed
from local.tokens import TokenAuthority
from rotation.model import Endpoints, SecretValue
from rotation.policy import Policy, Rule, RuleTerms
from rotation.policy.targets import parse_target
from rotation.ports import RotatorDependencies
from rotation.rotators.azure.rows import ROWS
from rotation.terms import Refresh

SUBSCRIPTION = "00000000-0000-0000-0000-000000000000"
GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-Local.1"
ACCOUNT = f"{GROUP}/providers/Microsoft.Storage/storageAccounts/stdemo"
APPLICATION = "00000000-0000-0000-0000-0000000000a1"
CLIENT_ID = "00000000-0000-0000-0000-0000000000c1"
APP = {"oid": APP_OID, "appid": APP_CLIENT_ID}
SITE = f"{GROUP}/providers/Microsoft.Web/sites/shop".lower()
SLOT, CONTAINER_APP = f"{SITE}/slots/next", f"{GROUP}/providers/Microsoft.App/containerApps/shop-api".lower()
CLUSTER = f"{GROUP}/providers/Microsoft.ContainerService/managedClusters/aks-shop".lower()
REFRESH_TARGETS = (
    Refresh("app-settings", SITE),
    Refresh("app-settings", SLOT),
    Refresh("container-app", CONTAINER_APP),
    Refresh("aks", CLUSTER, (("deployment", "shop/web"),)),
)
# What the rotators' tests are about, so that the app has the rights for it at the stand-in, and for nothing else.
POLICY = Policy(
    (
        Rule(
            vaults=("kv-demo",),
            secrets=("*",),
            rotators=("storage-key", "entra-app-secret", *ROWS),
            terms=RuleTerms(rule=1, refresh=REFRESH_TARGETS),
            targets=(parse_target(f"{GROUP}/*"), parse_target(APPLICATION)),
        ),
    )
)


@dataclass(slots=True)
class Tokens:
    """Gives the tokens of the app's identity; `fixed` replaces them. given: all that were handed out."""

    authority: TokenAuthority
    fixed: str | None = None
    given: list[str] = field(default_factory=list)

    async def token(self, scope: str) -> SecretValue:
        text = self.fixed or self.authority.issue(scope.removesuffix("/.default"), APP)
        self.given.append(text)
        return SecretValue(text)


@dataclass(slots=True)
class Place:
    """The running stand-in, and services that lead there. later: how far the rotator's clock is put forward."""

    azure: LocalAzure
    tokens: Tokens
    later: timedelta = timedelta()

    @property
    def services(self) -> RotatorDependencies:
        async def no_sleep(_seconds: float) -> None:
            pytest.fail("no rotator here sleeps")

        urls = self.azure
        endpoints = Endpoints(
            arm=urls.arm_url, graph=urls.graph_url, login=urls.login_url, devops=urls.devops_url, github=urls.github_url
        )
        return RotatorDependencies(self.tokens, endpoints, self.now, no_sleep, random.SystemRandom())

    def now(self) -> datetime:
        return datetime.now(UTC) + self.later

    @contextlib.contextmanager
    def fault(self, fault: Fault) -> Iterator[Fault]:
        self.azure.faults.add(fault)
        try:
            yield fault
        finally:
            self.azure.faults.remove(fault)

    @contextlib.asynccontextmanager
    async def outage(self) -> AsyncIterator[None]:
        """Every connection breaks."""
        with self.fault(Fault(Kind.DROP_BEFORE)):
            yield


@contextlib.asynccontextmanager
async def opened(data: Path, certificates: Certificates, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Place]:
    """A place with one storage account and one application."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.ca))
    authority = TokenAuthority(os.urandom(32))
    async with LocalAzure(
        data=data, cert=certificates.cert, key=certificates.key, authority=authority, rights=deployed(POLICY, ())
    ) as azure:
        azure.arm.add_account(ACCOUNT)
        azure.graph.add_application(APPLICATION, CLIENT_ID)
        yield Place(azure, Tokens(authority))
