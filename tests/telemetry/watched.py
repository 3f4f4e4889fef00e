"""A world whose engine and sweep are looked at."""

from collections.abc import Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock

from handlers.sweep import sweep
from rotation.engine.engine import Engine
from rotation.engine.sweep import Sweeper
from tests.fakes import FakeRotator
from tests.telemetry.recorded import Recorded
from tests.world import World


class Watched(World):
    """`recorded` holds what would leave."""

    def __init__(self, variant: str = "in-place") -> None:
        super().__init__(variant)
        self.recorded = Recorded()
        # Of another seed than the vault's, whose version ids would be the passwords otherwise.
        self.rotator = FakeRotator(self.server, self.kind, seed=7)

    @property
    def engine(self) -> Engine:
        return Engine(replace(super().engine._dependencies, observer=self.recorded.telemetry))

    async def sweep(self, vaults: Mapping[str, Any] | None = None) -> list[str]:
        """As the timer does it, by default of the one vault; by the wall clock all that this world holds has ended."""
        app: Any = SimpleNamespace(
            vaults=vaults or {"kv": self.vault},
            sweeper=Sweeper(self.ledger, self.policy),
            request_queue=None,
            telemetry=self.recorded.telemetry,
            poison=SimpleNamespace(tell=AsyncMock()),
        )
        return await sweep(app)
