"""The timer: every vault is read, and what may need something is asked for."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime

from app.log_fields import log_fields, one_line
from app.messages import to_text
from app.outgoing import Outgoing
from app.request_queue import RequestQueue
from app.telemetry import OK
from app.wiring import App
from rotation.engine.sharing import shared
from rotation.errors import RotationError
from rotation.ports import Vault
from rotation.side_by_side import side_by_side

log = logging.getLogger("keyturn.sweep")
MAX_CONCURRENT = 2  # vaults: they keep one processor busy; each more holds the names of all its histories in memory
MAX_KEPT = 20_000  # where the queue can't be reached but by the binding
WITHIN_S = 480.0  # of host.json's function time-out of ten minutes


async def sweep(app: App) -> list[str]:
    """Ask for what one sweep finds -> the messages for the output binding; those beyond a thousand were sent already.

    A vault that can't be read is reported, and does not keep the others waiting.
    """
    asked = _Asked(app.request_queue, time.monotonic() + WITHIN_S)
    async for _ in side_by_side(lambda one: _sweep(app, *one, asked), app.vaults.items(), MAX_CONCURRENT):
        pass
    await _tell_shared(app, asked)
    await app.poison.tell()
    return asked.messages


async def _tell_shared(app: App, asked: _Asked) -> None:
    """After an upgrade from a package that knew no owners: name what shares a credential, before its first run."""
    refs = [ref for name in app.vaults for ref in app.sweeper.unbound.get(name, [])]
    if not refs:
        return
    for one in await shared(refs, app.vaults, app.policy, app.rotator, asked.late):
        names, slot = ", ".join(map(str, one.secrets)), one_line(one.slot)
        log.warning(
            "shared: %s ask for %s at %s; one secret owns a credential, and only the first of them to run keeps it",
            names, slot, one.target, extra=log_fields("shared", one.secrets[0]),
        )  # fmt: skip


async def _sweep(app: App, name: str, vault: Vault, asked: _Asked) -> None:
    count = 0
    outcome = OK
    try:
        async for request in app.sweeper.requests(vault, datetime.now(UTC)):
            await asked.add(to_text(request))
            count += 1
            if asked.enough:
                early = log_fields("swept_early", vault=name)
                log.warning("the sweep of %s ends early; the next one finds what is still due", name, extra=early)
                break
    except RotationError as error:
        outcome = error.code
        stopped = log_fields("sweep_failed", vault=name, outcome=outcome)
        log.error("the sweep of %s stopped: %s", name, error.message, extra=stopped)  # noqa: TRY400  one line, ours
    if outcome == OK:
        log.info("swept %s: %d asked for", name, count, extra=log_fields("swept", vault=name))
    app.telemetry.swept(name, asked=count, expiring=_expiring(app, name), outcome=outcome)


def _expiring(app: App, vault: str) -> int:
    """Say which managed secrets end soon and are not rotated: the last call before their consumers are locked out."""
    ending = app.sweeper.expiring.get(vault, [])
    for item in ending:
        log.warning("expiring %s: it ends on %s", item.ref, item.expires_on, extra=log_fields("expiring", item.ref))
    return len(ending)


class _Asked(Outgoing):
    """The messages of one sweep, which ends in time."""

    def __init__(self, queue: RequestQueue, until: float) -> None:
        super().__init__(queue)
        self._until = until

    @property
    def enough(self) -> bool:
        return len(self.messages) >= MAX_KEPT or self.late()

    def late(self) -> bool:
        return time.monotonic() > self._until
