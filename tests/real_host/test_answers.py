"""Our host does as the real one did: `answers.json` keeps what that did with each request, delivery and message."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.real_host.answers import DIFFERENCES, asked, kept
from tests.real_host.asked import Asked, Sent, deliveries, late, messages, requests
from tests.real_host.player import Player
from tests.real_host.probes import OnOurs


@pytest.fixture
async def ours(tmp_path: Path) -> AsyncIterator[OnOurs]:
    host = await asyncio.to_thread(OnOurs, tmp_path)
    yield host
    host.close()
    assert "may hold a password" not in (tmp_path / "host.log").read_text(), "the text of a function's error is logged"


def unlike(found: dict[str, Any]) -> dict[str, Any]:
    """What differs from the real host's answer, with both."""
    real = kept()
    return {name: (answer, real[name]) for name, answer in found.items() if answer != real[name]}


def test_every_answer_is_kept_and_none_of_what_nobody_asks() -> None:
    names = [*(one.name for one in asked()), *(one.name for one in messages())]
    assert len(names) == len(set(names)) >= 80
    assert set(kept()) == set(names)
    assert set(DIFFERENCES) <= set(names)


QUICK = [*requests(), *deliveries()]


@pytest.mark.parametrize("ones", [QUICK, pytest.param([*late()], marks=pytest.mark.thorough)], ids=["quick", "late"])
async def test_requests_and_deliveries_end_as_on_the_real_host_or_the_difference_is_listed(
    ours: OnOurs, ones: list[Asked]
) -> None:
    found = unlike(await Player(ours).play(ones, ()))
    assert {name: both for name, both in found.items() if name not in DIFFERENCES} == {}
    mended = {one.name for one in ones} & DIFFERENCES.keys() - found.keys()
    assert mended == set(), "what is mended is listed no more"


@pytest.mark.thorough
@pytest.mark.parametrize("sent", [*messages()], ids=[sent.name for sent in messages()])
async def test_messages_become_what_they_become_on_the_real_host(ours: OnOurs, sent: Sent) -> None:
    assert unlike(await Player(ours).play((), [sent])) == {}
