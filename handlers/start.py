"""What happens before anything is asked: the policy is read and held against the settings. Nothing else is loaded.

Each cold start pays for this file and what it imports, so that the engine comes with the first call that needs it.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from handlers.settings import Settings
from rotation.policy import Policy
from rotation.policy_file import load
from rotation.policy_known import known_names
from rotation.self_protection import OwnResources, protect

if TYPE_CHECKING:
    from handlers.wiring import App


def load_policy(settings: Settings) -> Policy:
    """The policy, held against what the app lives on.

    Raises:
        Misconfigured: field "ROTATION_POLICY".
    """
    policy = load(settings.policy, known_names())
    account = None if isinstance(settings.ledger, Path) else settings.ledger.split("//")[1].partition(".")[0]
    accounts = (*settings.own_accounts, *((settings.storage_account,) if settings.storage_account else ()))
    return protect(policy, OwnResources(accounts, account))


def package_number() -> str | None:
    """The number of the deployed package; None where the app runs from its sources. Not secret."""
    try:
        return (Path(__file__).parents[1] / "package.txt").read_text(encoding="ascii").strip()
    except OSError:
        return None


class Running:
    """Builds the app at the first call that needs it, once."""

    def __init__(self, settings: Settings, policy: Policy) -> None:
        self._settings = settings
        self._policy = policy
        self._app: asyncio.Task[App] | None = None

    async def app(self) -> App:
        """The one app of this process."""
        from handlers.wiring import build  # noqa: PLC0415  the engine's first work pays for the engine

        if self._app is None or (self._app.done() and self._app.exception() is not None):
            self._app = asyncio.ensure_future(build(self._settings, self._policy))
        return await asyncio.shield(self._app)
