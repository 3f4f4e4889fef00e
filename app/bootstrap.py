"""What happens before anything is asked: the policy is read and held against the settings. Nothing else is loaded.

Each cold start pays for this file and what it imports, so that the engine comes with the first call that needs it.
"""

from __future__ import annotations

import asyncio
import logging
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from app.settings import HttpAuth, Settings, from_environment, http_closed
from rotation.errors import Misconfigured
from rotation.policy import Policy
from rotation.policy.file import load
from rotation.policy.known import known_names
from rotation.policy.self_protection import OwnResources, protect

if TYPE_CHECKING:
    from app.wiring import App

log = logging.getLogger("keyturn.start")
_EVENTS_WITH_TYPES = (1, 25)


def started(library: str, environment: Mapping[str, str], root: Path) -> LazyApp:
    """The app, with settings and policy read. library: the version of azure-functions. root: the app's folder.

    Raises:
        Misconfigured: after one line on standard error with the word "error". The Functions host logs that as
            an error of Host.Function.Console; the exception itself it tells at its level Debug alone, and a line of the
            log that belongs to no invocation not at all (WorkerProcess.cs, GrpcWorkerChannel.cs and
            RpcFunctionInvocationDispatcher.cs of Azure/azure-functions-host; seen on 4.1037).
    """
    # host.json names the host's own categories alone: what the SDKs log of each request would come as this function's.
    logging.getLogger("azure").setLevel(logging.WARNING)
    try:
        check_library(library)
        settings = from_environment(environment, root)
        return LazyApp(settings, load_policy(settings))
    except Misconfigured as error:
        print(f"error: the app does not start: {error.message}", file=sys.stderr, flush=True)  # noqa: T201  see above
        raise


def load_policy(settings: Settings) -> Policy:
    """The policy, held against what the app lives on.

    Raises:
        Misconfigured: field "ROTATION_POLICY".
    """
    policy = load(settings.policy, known_names())
    account = None if isinstance(settings.ledger, Path) else settings.ledger.split("//")[1].partition(".")[0]
    accounts = (*settings.own_accounts, *((settings.storage_account,) if settings.storage_account else ()))
    _check_refresh_targets(policy, settings)
    return protect(policy, OwnResources(accounts, account, settings.site))


def _check_refresh_targets(policy: Policy, settings: Settings) -> None:
    """A secret that signs for a refresh target must be in a vault of ours. A rule of no vault of ours rotates nothing.

    Raises:
        Misconfigured: field "ROTATION_POLICY".
    """
    for rule in policy.rules:
        for one in rule.terms.refresh:
            if one.secret is None or one.secret[0] in settings.vaults or settings.vaults.keys().isdisjoint(rule.vaults):
                continue
            raise Misconfigured(
                f"rule {rule.terms.rule} of the policy: `refresh` names a secret of vault {one.secret[0]!a:.130}, "
                "which is not in ROTATION_VAULTS: add the vault, or name a secret of another",
                field="ROTATION_POLICY",
            )


def check_library(version: str) -> None:
    """`version` is that of azure-functions, which may be the platform's own instead of the package's.

    Raises:
        Misconfigured: before 1.25 it hands over CloudEvents without their type.
    """
    number = re.match(r"([0-9]+)\.([0-9]+)", version)
    if number is None or (int(number[1]), int(number[2])) < _EVENTS_WITH_TYPES:
        raise Misconfigured(
            f"azure-functions {version} hands over CloudEvents without their type: the app needs 1.25 or newer",
            field="azure-functions",
        )


def package_number() -> str | None:
    """The number of the deployed package; None where the app runs from its sources. Not secret."""
    try:
        return (Path(__file__).parents[1] / "package.txt").read_text(encoding="ascii").strip()
    except OSError:
        return None


class LazyApp:
    """Builds the app at the first call that needs it, once."""

    def __init__(self, settings: Settings, policy: Policy) -> None:
        self.settings = settings
        self._policy = policy
        self._app: asyncio.Task[App] | None = None

    async def app(self) -> App:
        """The one app of this process."""
        from app.wiring import build  # noqa: PLC0415  the engine's first work pays for the engine

        if self._app is None and self.settings.http_auth is HttpAuth.CLOSED:
            log.error(http_closed().message, extra={"keyturn.event": "http_closed"})
        if self._app is None or (self._app.done() and self._app.exception() is not None):
            self._app = asyncio.ensure_future(build(self.settings, self._policy))
        return await asyncio.shield(self._app)
