"""Has Azure make a key anew, and sees when that is through, which may be long after the run that asked for it.

No instance waits. What is begun is left to Azure with a mark (`errors.UnderWay`), a digest of the key that will end:
once the list has another one, and the resource is at rest, the change is through. So nothing of an operation's address
is kept, which would have to be believed later, and a repetition after a lost answer is told from a change that failed.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from aiohttp import ClientSession

from rotation.errors import NotYet, UnderWay
from rotation.model import Draft, Job, SecretValue
from rotation.rotators.azure.table import Keyed
from rotation.rotators.azure.two_keys import Key, TwoKeys

OURS_WITHIN = timedelta(days=2)  # of the call: the longest change takes hours, and looks may be an hour apart
_AT_REST = {"succeeded", "failed", "canceled"}  # "Track asynchronous Azure operations": the terminal states


class Making:
    """Of keys of one type of resource."""

    def __init__(self, keyed: Keyed, two: TwoKeys, now: Callable[[], datetime]) -> None:
        self._keyed = keyed
        self._two = two
        self._now = now

    async def new(self, over: ClientSession, job: Job, slot: str, before: Key | None, draft: Draft) -> Key:
        """A new key in `slot`. before: as it is listed now. draft: with the mark of an earlier run, if one left any.

        Raises:
            UnderWay: Azure makes it.
        """
        if draft.mark is not None and before is not None and await self._is_over(over, job, slot, before, draft):
            return before
        await self._check_at_rest(over, job)
        made = await self._two.regenerate(over, job, slot, id_of=before.id if before else "")
        if made is not None:
            return made
        made = (await self._two.listed(over, job)).get(slot)
        if made is None or _is_same(made, before) or await self._is_changing(over, job):
            raise self._under_way(job, slot, _mark(job, slot, before) if before else None, begun=True)
        return made

    async def end(self, over: ClientSession, job: Job, slot: str, known: Sequence[SecretValue]) -> None:
        """Have an old key replaced by one that nobody gets. known: keys that were published in this slot.

        What is known and no longer listed was ended by an earlier call; a list that none is in tells nothing.

        Raises:
            NotYet: Azure is not through with it.
        """
        keyed = self._keyed
        looks = keyed.long_running or not keyed.answers
        before = (await self._two.listed(over, job)).get(slot) if looks or keyed.one_key else None
        if looks and known and before is not None and before.value not in known:
            return
        await self._check_at_rest(over, job)
        made = await self._two.regenerate(over, job, slot, id_of=before.id if before else "")
        if made is None and known and _is_same((await self._two.listed(over, job)).get(slot), before):
            raise NotYet(
                f"{self._two.called(job)} ends its old {slot}, and is not through", retry_after_s=keyed.look_again_s
            )

    async def _is_over(self, over: ClientSession, job: Job, slot: str, listed: Key, draft: Draft) -> bool:
        """Whether the change is through that an earlier run began; False: it is to be begun once more.

        A key that came after `OURS_WITHIN` may be one that somebody else made, and gave to others.

        Raises:
            UnderWay: it may still come.
        """
        same = _mark(job, slot, listed) == draft.mark
        age = timedelta.max if draft.since is None else self._now() - draft.since
        if (same and age < timedelta(hours=self._keyed.patience_h)) or await self._is_changing(over, job):
            raise self._under_way(job, slot, draft.mark)
        return not same and age < OURS_WITHIN

    async def _check_at_rest(self, over: ClientSession, job: Job) -> None:
        """Raise NotYet while it is being changed, by us or by others: two changes at a time leave either key behind."""
        if await self._is_changing(over, job):
            raise NotYet(
                f"{self._two.called(job)} is being changed; its key is asked for once it is at rest",
                retry_after_s=self._keyed.look_again_s,
            )

    async def _is_changing(self, over: ClientSession, job: Job) -> bool:
        """Whether the resource says so: its list may show a key that is not accepted everywhere yet."""
        if not self._keyed.long_running:
            return False
        state = (await self._two.properties(over, job)).get("provisioningState")
        return isinstance(state, str) and state.lower() not in _AT_REST

    def _under_way(self, job: Job, slot: str, mark: str | None, *, begun: bool = False) -> UnderWay:
        return UnderWay(
            f"{self._two.called(job)} makes its new {slot}, and is not through; the old key goes on working",
            retry_after_s=self._keyed.look_again_s,
            mark=mark,
            begun=begun,
        )


def _is_same(one: Key | None, other: Key | None) -> bool:
    return one is None or other is None or one.value == other.value


def _mark(job: Job, slot: str, key: Key) -> str:
    """What tells this key from its successor, and nothing about either to anybody who does not have it."""
    said = f"{job.operation_id} {slot}".encode()
    return hmac.new(key.value.reveal().encode(), said, hashlib.sha256).hexdigest()[:32]
