"""The timer: every vault is read, and what may need something is asked for."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

from handlers.dimensions import dimensions
from handlers.messages import to_text
from handlers.telemetry import OK
from handlers.wiring import App
from rotation.errors import RotationError

log = logging.getLogger("keyturn.sweep")


async def sweep(app: App) -> list[str]:
    """The queue messages of one sweep. A vault that can't be read is reported, and does not keep the others waiting."""
    messages: list[str] = []
    for name, vault in app.vaults.items():
        before = len(messages)
        outcome = OK
        try:
            async for request in app.sweeper.requests(vault, datetime.now(UTC)):
                messages.append(to_text(request))  # noqa: PERF401  what came before an error is kept
        except RotationError as error:
            outcome = error.code
            stopped = dimensions("sweep_failed", vault=name, outcome=outcome)
            log.error("the sweep of %s stopped: %s", name, error.message, extra=stopped)  # noqa: TRY400  one line, ours
        asked = len(messages) - before
        if outcome == OK:
            log.info("swept %s: %d asked for", name, asked, extra=dimensions("swept", vault=name))
        app.telemetry.swept(name, asked=asked, expiring=_expiring(app, name), outcome=outcome)
    return messages


def _expiring(app: App, vault: str) -> int:
    """Say which managed secrets end soon and are not rotated: the last call before their consumers are locked out."""
    ending = app.sweeper.expiring.get(vault, [])
    for item in ending:
        log.warning("expiring %s: it ends on %s", item.ref, item.expires_on, extra=dimensions("expiring", item.ref))
    return len(ending)
