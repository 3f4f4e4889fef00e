"""Every kind of rotator, as docs/rotators.md has it in a table, and for machines: `python -m rotation.rotators`."""

from __future__ import annotations

from collections.abc import Iterator

from rotation.rotators import APPLICATION, HOST, ROTATORS, Kind

HEAD = "| kind | tags beside `rotator` | `verify` proves | `retire` | old value | the app needs | a rule | tested at |"
_ID = "/subscriptions/ID/resourceGroups/NAME/providers/"


def facts() -> list[dict[str, object]]:
    """One object for each kind; `name` is its name, `targets` the types of resources, or "host" or "application"."""
    return [
        {
            "name": name,
            "changes": kind.changes,
            "targets": list(kind.targets),
            "tags": _tags(kind),
            "slots": list(kind.tags),
            "verify": kind.proves,
            "retire": kind.ends,
            "old_value": kind.holders,
            "overlap": _overlaps(kind),
            "rights": kind.rights,
            "policy": _rule(name, kind),
            "tested": kind.tested,
        }
        for name, kind in ROTATORS.items()
    ]


def table() -> Iterator[str]:
    """The lines of the table, in Markdown."""
    yield HEAD
    yield "|" + "---|" * (HEAD.count("|") - 1)
    for name, kind in ROTATORS.items():
        left = "overlap" if _overlaps(kind) else "gap" if HOST in kind.targets else "none but the vault's"
        cells = (f"`{name}`", _tags(kind), kind.proves, kind.ends, left, kind.rights, _rule(name, kind), kind.tested)
        yield f"| {' | '.join(cells)} |"


def _overlaps(kind: Kind) -> bool:
    return "goes on working" in kind.holders


def _tags(kind: Kind) -> str:
    if kind.tags:
        return f"`target`: the resource's id; `slots` ({','.join(kind.tags)}) may be left out"
    if HOST in kind.targets:
        return "`target`, if the value names no host; `slots`"
    return "`target`: the object id" if APPLICATION in kind.targets else "`format`"


def _rule(name: str, kind: Kind) -> str:
    """What a rule of the policy has for it, beside `vaults` and `secrets`."""
    parts = [f'rotators = ["{name}"]']
    first = next(iter(kind.targets), None)
    if first == HOST:
        parts += ['targets = ["db.example.com"]', 'slots = ["orders_app"]']
    elif first == APPLICATION:
        parts.append('targets = ["OBJECT-ID"]')
    elif first is not None:
        parts.append(f'targets = ["{_ID}{_path(first)}"]')
    return ", ".join(f"`{one}`" for one in parts)


def _path(kind: str) -> str:
    provider, *types = kind.split("/")
    return provider + "".join(f"/{one}/NAME" for one in types)
