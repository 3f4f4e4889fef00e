"""When each old password died, by the server's log; when each new version was there, by the vault's record."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from rotation.model import SecretRef
from tests.proof.consumers.clients import Attempt

_ALTER = re.compile(
    r'^(\S+ \S+) UTC .*duration: ([0-9.]+) ms +statement: (?:[^\n]*; )?ALTER ROLE "([^"]+)"', re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class Gap:
    """One change in place. began_at: before the statement that ended the old password; died_at: after it.

    there_at: once the vault had answered the write of the new version; who asks later must get it.
    """

    old: str
    new: str
    began_at: float
    died_at: float
    there_at: float

    @property
    def ms(self) -> float:
        return (self.there_at - self.died_at) * 1000


def changes_in(log: str) -> dict[str, list[tuple[float, float]]]:
    """(began, ended) of each change of a role's password, in seconds since the epoch, in order."""
    found: dict[str, list[tuple[float, float]]] = {}
    for at, duration_ms, role in _ALTER.findall(log):
        ended = datetime.fromisoformat(f"{at}+00:00").timestamp()
        # The log's times have whole milliseconds, cut off.
        found.setdefault(role, []).append((ended - float(duration_ms) / 1000, ended + 0.001))
    return found


def gaps_of(versions: Sequence[str], changes: Sequence[tuple[float, float]], there: Sequence[float]) -> list[Gap]:
    """Of one secret: its versions, the first one included; its role's changes; when each further version was there.

    Raises:
        ValueError: there were not as many changes as new versions.
    """
    pairs = zip(versions, versions[1:], changes, there, strict=False)
    if not len(versions) - 1 == len(changes) == len(there):
        message = f"{len(changes)} changes and {len(there)} writes for {len(versions) - 1} rotations"
        raise ValueError(message)
    return [Gap(old, new, began, died, at) for old, new, (began, died), at in pairs]


def broken_in_place(attempts: Sequence[Attempt], gaps: Mapping[SecretRef, Sequence[Gap]]) -> list[str]:
    """Failures outside of a gap, and reads that brought what was no longer the latest; a line each."""
    by_old = {(ref, gap.old): gap for ref, found in gaps.items() for gap in found}
    broken = []
    for attempt in attempts:
        gap = by_old.get((attempt.ref, attempt.version))
        if gap is not None and attempt.asked_at > gap.there_at:
            broken.append(f"{attempt.ref}: {attempt.version} was read {attempt.asked_at - gap.there_at:.3f} s too late")
        elif not attempt.let_in and (gap is None or attempt.ended_at < gap.began_at):
            broken.append(f"{attempt.ref}: {attempt.version} was refused, and nothing had changed its password")
    return broken
