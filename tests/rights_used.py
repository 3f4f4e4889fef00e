"""Which rights the app was granted and which it called for, over a test run: no right unused, none missing."""

import json
import os
import re
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from infra.rights.table import load
from local.rights import LOG_SETTING, Right

_LINE = re.compile(r'"(?P<method>[A-Z]+) /[^/? ]+(?P<blob>/[^? ]+/[^? ]+)?[^? ]*\?(?P<query>\S*) HTTP')
_BLOBS = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs"


@dataclass(frozen=True, slots=True)
class Used:
    """What the stand-ins noted."""

    granted: frozenset[Right]
    called: frozenset[Right]
    refused: frozenset[Right] = frozenset()

    def missing(self) -> Iterator[str]:
        """By action and scope: what was called for and refused, or is covered by no grant."""
        for call in sorted(self.called):
            if call in self.refused or not any(right.covers(call.action, call.scope) for right in self.granted):
                yield f"missing: {call.action} on {call.scope}"

    def unused(self) -> Iterator[str]:
        """By action and scope: what was granted, and covers no call. Says something of a run by one policy alone."""
        for right in sorted(self.granted):
            if not any(right.covers(call.action, call.scope) for call in self.called):
                yield f"unused: {right.action} on {right.scope}"

    def differences_from_the_table(self) -> Iterator[str]:
        """By action: what was called for is what `infra/roles.json` holds in the roles of our own, and Graph's."""
        table = load()
        held = {action for role in table.roles.values() for action in role.actions | role.data_actions}
        held |= {permission.name for permission in table.graph}
        called = {call.action for call in self.called}
        yield from (f"missing from infra/roles.json: {action}" for action in _without(called, held))
        yield from (f"in infra/roles.json, and never called for: {action}" for action in _without(held, called))


def _without(these: Iterable[str], those: Iterable[str]) -> list[str]:
    """In order. Azure's actions are the same in capitals, and its own lists write them in both ways."""
    folded = {one.lower() for one in those}
    return sorted(one for one in these if one.lower() not in folded)


def read(folder: Path) -> Used:
    """All that stands in a folder's logs."""
    lines = [json.loads(line) for path in sorted(folder.glob("*.jsonl")) for line in path.read_text().splitlines()]
    return Used(*(_rights(lines, what) for what in ("granted", "called", "refused")))


def _rights(lines: Iterable[dict[str, str]], what: str) -> frozenset[Right]:
    return frozenset(Right(line["action"], line["scope"]) for line in lines if line["what"] == what)


def note_ledger(access_log: Path) -> None:
    """The ledger's calls, from the emulator's access log, among the rights that were called for.

    The app's are signed for a container ("sig=" in the query); a test that acts as the owner has the account's key.
    """
    table = load()
    [role] = {grant.custom for grant in table.grants if grant.scope == "ledgerContainer"}
    noted = {"granted": table.roles[str(role)].data_actions, "called": ledger_calls(access_log)}
    lines = [
        json.dumps({"what": what, "action": action, "scope": "ledger"}) for what in noted for action in noted[what]
    ]
    (Path(os.environ[LOG_SETTING]) / f"{uuid.uuid4().hex}.jsonl").write_text("\n".join(lines))


def ledger_calls(access_log: Path) -> list[str]:
    """Data actions by "Permissions for calling data operations" in the Storage REST reference."""
    calls = [found.groupdict() for found in _LINE.finditer(access_log.read_text())]
    return sorted({_data_action(**call) for call in calls if "sig=" in call["query"]})


def _data_action(method: str, blob: str | None, query: str) -> str:
    match method, blob is not None, "comp=list" in query:
        case ("GET" | "HEAD", True, _) | ("GET", False, True):  # Get Blob, Get Blob Properties, List Blobs
            return f"{_BLOBS}/read"
        case "PUT", True, _:  # Put Blob, Append Block, Lease Blob
            return f"{_BLOBS}/write"
        case _:  # of the container, or a deletion: nothing that the app may do
            return f"{method} {'blob' if blob else 'container'}"
