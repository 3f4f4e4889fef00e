"""The tables of the pages that list every kind of rotator, as the map of kinds and the table of roles have them.

`python -m tests.docs.kinds` writes them anew. Each is found by its head; all else on the pages is written by hand.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from infra.rights.table import load
from rotation.rotators import ROTATORS, listing

ROOT = Path(__file__).parents[2]
README, RIGHTS, ROTATORS_PAGE = (ROOT / page for page in ("README.md", "docs/rights.md", "docs/rotators.md"))
SHOWN = {"service-bus-key", "event-hubs-key", "cosmos-key", "redis-key", "search-admin-key", "cognitive-services-key"}
_OF_A_ROW = "of the two keys of an Azure resource, the one that is not in use"
HEADS = {
    README: "| rotator | changes | who still holds the old value |",
    RIGHTS: "| on the targets of | role | for |",
    ROTATORS_PAGE: listing.HEAD,
}


def table(page: Path) -> list[str]:
    """The lines of its table of kinds, as they must be."""
    if page == ROTATORS_PAGE:
        return list(listing.table())
    head = HEADS[page]
    rows = _readme() if page == README else _rights()
    return [head, "|" + "---|" * (head.count("|") - 1), *(f"| {' | '.join(row)} |" for row in rows)]


def written(page: Path) -> list[str]:
    """The lines of the table as it stands on the page; none where there is no such table."""
    lines = page.read_text().splitlines()
    if HEADS[page] not in lines:
        return []
    rest = lines[lines.index(HEADS[page]) :]
    ends = next((number for number, line in enumerate(rest) if not line.startswith("|")), len(rest))
    return rest[:ends]


def _readme() -> Iterator[tuple[str, ...]]:
    """Kinds of which the same is said share a line. Of those that are rows of a table in the code, a few are named."""
    rows = [name for name, kind in ROTATORS.items() if kind.row]
    shared: dict[tuple[str, str], list[str]] = {}
    for name, kind in ROTATORS.items():
        shared.setdefault((_OF_A_ROW if kind.row else kind.changes, kind.holders), []).append(name)
    for (changes, holders), names in shared.items():
        shown = ", ".join(f"`{one}`" for one in names if one not in rows or one in SHOWN)
        if changes == _OF_A_ROW:
            shown += f" and {len(rows) - len(SHOWN)} [others like them](docs/rotators.md#every-kind)"
        yield shown, changes, holders


def _rights() -> Iterator[tuple[str, ...]]:
    roles = load()
    for grant in roles.grants:
        if grant.scope == "target":
            actions = sorted({_short(action) for action in roles.roles[str(grant.custom)].actions})
            for_whom = _names(grant.rotators) or ", ".join(f"`{name}` in `refresh`" for name in sorted(grant.refreshes))
            yield for_whom, f"*{grant.role_name}*: {', '.join(actions)}", grant.purpose
    for permission in roles.graph:
        yield _names(permission.rotators), f"Graph's `{permission.name}`, by `steps`", permission.purpose


def _names(rotators: frozenset[str]) -> str:
    return ", ".join(f"`{name}`" for name in ROTATORS if name in rotators)


def _short(action: str) -> str:
    return action.removesuffix("/action").rsplit("/", 1)[1]


def write() -> None:
    """Put the tables into the pages."""
    for page in HEADS:
        page.write_text(page.read_text().replace("\n".join(written(page)), "\n".join(table(page))))


if __name__ == "__main__":
    write()
