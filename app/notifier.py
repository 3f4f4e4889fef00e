"""Tells the world what a rotation came to: one log line, and an event where a topic is configured."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from app.log_fields import log_fields, of_outcome, one_line
from rotation.model import Outcome, Result
from rotation.reasons import RefreshState

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential

log = logging.getLogger("keyturn")

_EVENTS = {
    Result.ROTATED: "Keyturn.SecretRotated",
    Result.RESUMED: "Keyturn.SecretRotated",
    Result.REPAIRED: "Keyturn.SecretRepaired",
    Result.RETIRED: "Keyturn.CredentialRetired",
    Result.TAGS_LOST: "Keyturn.TagsLost",
    Result.DENIED: "Keyturn.RotationDenied",
    Result.FAILED: "Keyturn.RotationFailed",
}
_LOUD = frozenset({Result.TAGS_LOST, Result.DENIED, Result.FAILED})


def as_json(outcome: Outcome) -> dict[str, object]:
    """What HTTP answers and events carry; design's names."""
    return {
        "outcome": outcome.result.value,
        "vault": outcome.ref.vault,
        "secret": outcome.ref.name,
        "version": outcome.version,
        "previous_version": outcome.previous_version,
        "operation_id": outcome.operation_id,
        "slot": outcome.slot,
        "expires_on": outcome.expires_on.isoformat() if outcome.expires_on else None,
        "duration_ms": outcome.duration_ms,
        "detail": outcome.detail,
        **({"code": outcome.code} if outcome.code else {}),
        **({"refreshed": {one.name: one.state.value for one in outcome.refreshed}} if outcome.refreshed else {}),
    }


def _tell_refresh_targets(outcome: Outcome) -> None:
    """A line for each refresh target that could not be asked: the rotation is done; that one may have the old value."""
    for one in outcome.refreshed:
        told = one_line(f"{outcome.ref}: {one.name}: {one.detail}")
        if one.state is RefreshState.FAILED:
            seen = log_fields("refresh_failed", outcome.ref, version=outcome.version, refresh_target=one.name)
            log.warning("refresh_failed %s; it is asked again", told, extra=seen)
        elif one.state is RefreshState.GIVEN_UP:
            seen = log_fields("refresh_given_up", outcome.ref, version=outcome.version, refresh_target=one.name)
            log.error("refresh_given_up %s; it is not asked again for this version", told, extra=seen)


class Notifier:
    """Logs each outcome and publishes those that somebody may want to act on."""

    def __init__(self, topic: str | None, identity: AsyncTokenCredential) -> None:
        self._topic = topic
        self._identity = identity

    async def tell(self, outcome: Outcome) -> None:
        """Never raises: a rotation is not undone because nobody could hear of it."""
        level = logging.ERROR if outcome.result in _LOUD else logging.INFO
        line = one_line(f"{outcome.ref}: {outcome.detail}")
        log.log(level, "%s %s", outcome.result.value, line, extra=of_outcome(outcome))
        _tell_refresh_targets(outcome)
        kind = _EVENTS.get(outcome.result)
        if self._topic is None or kind is None:
            return
        from azure.core.exceptions import AzureError  # noqa: PLC0415  180 ms that only a topic needs
        from azure.eventgrid import EventGridEvent  # noqa: PLC0415  as above
        from azure.eventgrid.aio import EventGridPublisherClient  # noqa: PLC0415  as above

        event = EventGridEvent(subject=str(outcome.ref), event_type=kind, data=as_json(outcome), data_version="1")
        try:
            async with EventGridPublisherClient(self._topic, self._identity) as client:
                await client.send(event)
        except AzureError as error:
            kind = type(error).__name__
            log.warning("the outcome topic took no event (%s)", kind, extra=log_fields("topic_failed", outcome.ref))
