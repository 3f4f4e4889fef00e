"""`python3 -m infra.vaults`: see the package's docstring.

The folder holds what az printed: built.json (`az bicep build-params --stdout`), recorded.json (the topics of the
deployment before, or nothing), vaults-, deleted- and topics-SUBSCRIPTION.json (lists), shown-VAULT.json, vaultlogs- and
topiclogs-VAULT.json (diagnostic settings), held (ids of vaults that left, and on which the app still has its right);
and groups.json, regions.json and skus.json, what the subscription has (lists; the last two may be empty: not told).
Exit code 0: nothing stands in the way; 2: what does, on stderr, an error and its remedy each.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from shlex import quote
from typing import Any

from app.schedule import checked
from infra.vaults.judged import There, Vault, group_of, judge, topic_of, wanted
from infra.vaults.left import in_the_way, last, left
from infra.vaults.place import Around, place, tags_of
from rotation.errors import Misconfigured

SOUND, WRONG = 0, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Fill in, tell what to ask az for, judge, or tell what stays."""
    options = _parser().parse_args(arguments)
    folder: Path = options.folder
    match options.command:
        case "wanted":
            vaults = wanted(_built(folder), options.name, options.location, options.subscription)
            (folder / "wanted.json").write_text(json.dumps([asdict(one) for one in vaults]), encoding="utf-8")
            (folder / "names").write_text(",".join(one.name for one in vaults), encoding="utf-8")
            (folder / "private").write_text("false" if all(one.open for one in vaults) else "true", encoding="utf-8")
            for subscription in dict.fromkeys(one.subscription for one in vaults):
                makes = any(one.create for one in vaults if one.subscription == subscription)
                print(subscription, "deleted" if makes else "")
        case "there":
            there = _there(folder)
            ids = {str(one["id"]).lower() for one in there.vaults}
            for one in _wanted(folder):
                if one.id in ids:
                    print(
                        one.subscription, one.group, one.name, one.id, (topic_of(one, there.topics) or {}).get("id", "")
                    )
        case "last":
            _last(folder, options.subscription)
        case "left":
            group = group_of(_built(folder), options.name)
            home = f"--subscription {options.subscription} --resource-group {quote(group)}"
            for line in left(_recorded(folder), _wanted(folder), options.name, home):
                print(line)
        case _:
            return _judged(folder, options)
    return SOUND


def _last(folder: Path, subscription: str) -> None:
    # Where somebody else makes the roles, none is changed here.
    if _built(folder).get("createRoles", {}).get("value", True):
        for vault in last(_recorded(folder), _wanted(folder), subscription):
            print(vault)


def _judged(folder: Path, options: argparse.Namespace) -> int:
    name, around = options.name, _around(folder)
    findings = judge(_wanted(folder), _there(folder), name)
    where = place(_built(folder, defaults=True), name, options.location, _wanted(folder), around)
    held = (folder / "held").read_text(encoding="utf-8").splitlines()
    errors = [*where.errors, *findings.errors, *in_the_way(held, name), *_schedule(_built(folder))]
    tags = tags_of(group_of(_built(folder), name), around.groups)
    (folder / "group-tags.json").write_text(json.dumps(tags), encoding="utf-8")
    for warning in (*where.warnings, *findings.warnings):
        print(f"   warning: {warning}")
    for error, remedy in errors:
        print(f"\nerror: {error}\nremedy: {remedy}", file=sys.stderr)
    return WRONG if errors else SOUND


def _schedule(built: dict[str, Any]) -> list[tuple[str, str]]:
    """The app would not start with it: its own check says so before anything is made."""
    given = built.get("sweepSchedule", {}).get("value")
    try:
        if given is not None:
            checked(str(given))
    except Misconfigured as error:
        return [(error.message, "correct `param sweepSchedule` in the parameters: docs/using.md, When the sweep runs")]
    return []


def _recorded(folder: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] | None = json.loads((folder / "recorded.json").read_text(encoding="utf-8") or "null")
    return found or []


def _built(folder: Path, *, defaults: bool = False) -> dict[str, Any]:
    """Its "parameters", and what the template has for those that it leaves out.

    Bicep prints the parameter file and the template as texts within JSON (azure-cli, resource/custom.py).
    """
    built = json.loads((folder / "built.json").read_text(encoding="utf-8"))
    given: dict[str, Any] = json.loads(built["parametersJson"])["parameters"]
    if not defaults:
        return given
    declared = json.loads(built["templateJson"])["parameters"]
    known = {key: {"value": one["defaultValue"]} for key, one in declared.items() if "defaultValue" in one}
    return {key: one for key, one in known.items() if not str(one["value"]).startswith("[")} | given  # no expressions


def _around(folder: Path) -> Around:
    """An empty file is what can't be told."""
    groups, regions, skus = (
        json.loads((folder / f"{name}.json").read_text(encoding="utf-8") or "null")
        for name in ("groups", "regions", "skus")
    )
    return Around(groups, regions, skus)


def _wanted(folder: Path) -> list[Vault]:
    return [Vault(**one) for one in json.loads((folder / "wanted.json").read_text(encoding="utf-8"))]


def _there(folder: Path) -> There:
    def named(kind: str) -> dict[str, Any]:
        found = sorted(folder.glob(f"{kind}-*.json"))
        return {path.stem.removeprefix(f"{kind}-"): json.loads(path.read_text(encoding="utf-8")) for path in found}

    def files(kind: str) -> list[Any]:
        return list(named(kind).values())

    shown = {str(one["name"]).lower(): one for one in files("shown")}
    vaults, deleted, topics = (
        [one for file in files(kind) for one in file] for kind in ("vaults", "deleted", "topics")
    )
    return There(vaults, deleted, topics, shown, named("vaultlogs"), named("topiclogs"))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python3 -m infra.vaults", description="The vaults of a deployment.")
    commands = parser.add_subparsers(dest="command", required=True)
    filled = commands.add_parser("wanted", help="built.json to wanted.json; prints the subscriptions to ask")
    here = commands.add_parser("there", help="which of wanted.json are there")
    judged = commands.add_parser("judge", help="what would go wrong; the group's tags to group-tags.json")
    alone = commands.add_parser("last", help="which of those that left were the last of their subscription")
    gone = commands.add_parser(
        "left", help="commands for what stays on vaults that were recorded, and are wanted no longer"
    )
    for command in (filled, alone, gone):
        command.add_argument("--subscription", required=True, help="the deployment's")
    for command in (filled, judged):
        command.add_argument("--location", required=True)
    for command in (filled, judged, gone):
        command.add_argument("--name", required=True, help="the deployment's")
    for command in (filled, here, judged, alone, gone):
        command.add_argument("--folder", required=True, type=Path, help="where these files are")
    return parser


if __name__ == "__main__":
    sys.exit(main())
