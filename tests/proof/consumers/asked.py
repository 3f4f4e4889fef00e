"""A rotation that is asked for over HTTP, at once."""

from __future__ import annotations

from dataclasses import dataclass

import aiohttp

from local.stack import Stack
from rotation.model import SecretRef

OK = 200


@dataclass(frozen=True, slots=True)
class Told:
    """version: the new one; None where there is none, and words say why."""

    ref: SecretRef
    version: str | None
    words: str


async def rotated(app: aiohttp.ClientSession, stack: Stack, ref: SecretRef) -> Told:
    """Ask the app of a running stack -> what it told."""
    url = f"{stack.ready['functions']}/api/vaults/{ref.vault}/secrets/{ref.name}/rotate"
    headers = {"x-functions-key": stack.ready["function_key"]}
    async with app.post(url, params={"force": "true"}, headers=headers) as answer:
        told = await answer.json()
    done = answer.status == OK and told["outcome"] == "rotated"
    return Told(ref, told["version"] if done else None, f"{told['outcome']}: {told['detail']}")
