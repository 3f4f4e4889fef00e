"""The timer: every vault is read, and what may need something is asked for."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

from handlers.messages import to_text
from handlers.wiring import App
from rotation.errors import RotationError

log = logging.getLogger("keyturn.sweep")


async def sweep(app: App) -> list[str]:
    """The queue messages of one sweep. A vault that can't be read is reported, and does not keep the others waiting."""
    messages: list[str] = []
    for name, vault in app.vaults.items():
        before = len(messages)
        try:
            async for request in app.sweeper.requests(vault, datetime.now(UTC)):
                messages.append(to_text(request))  # noqa: PERF401  what came before an error is kept
        except RotationError as error:
            log.error("the sweep of %s stopped: %s", name, error.message)  # noqa: TRY400  ours, and one line
        log.info("swept %s: %d asked for", name, len(messages) - before)
    return messages
