"""`python3 -m infra.rights`: see the package's docstring.

Exit code 0: done, or nothing differs; 2: what differs, or is wrong with the files, a line each on stderr.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from infra.rights.granted import Granted, access_policy_vaults, compare
from infra.rights.needed import Needed, as_json, derive
from infra.rights.steps import steps
from infra.rights.table import Table, load
from rotation.errors import Misconfigured
from rotation.policy.file import check, read_text
from rotation.policy.known import known_names

SOUND, WRONG = 0, 2
_T = TypeVar("_T")


class Unreadable(Exception):
    """A file is not what it should be; the message is one line."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Derive, print what is left to do, or check."""
    options = _parser().parse_args(arguments)
    try:
        table = load()
        needed = _needed(options, table)
        match options.command:
            case "derive":
                print(json.dumps(as_json(needed, table), indent=2))
            case "steps":
                by_policy = _sound(lambda: access_policy_vaults(_vaults(options)))
                print("\n".join(steps(needed, table, options.principal, by_policy)))
            case _:
                return _check(needed, _sound(lambda: _granted(options)), table)
    except (Misconfigured, Unreadable) as error:
        print(error, file=sys.stderr)
        return WRONG
    return SOUND


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python3 -m infra.rights", description="The rights that a policy needs.")
    commands = parser.add_subparsers(dest="command", required=True)
    derived = commands.add_parser("derive", help="what a deployment is to grant, as JSON")
    left = commands.add_parser("steps", help="what only administrators of the directory and the databases can grant")
    left.add_argument("--principal", required=True, metavar="ID", help="the identity's object id")
    checked = commands.add_parser("check", help="what is missing, and what is too much")
    add = checked.add_argument
    add("--places", required=True, type=Path, metavar="FILE", help="the output PLACES of the deployment")
    add("--granted", required=True, type=Path, action="append", metavar="FILE",
        help="az role assignment list --assignee ID --all --include-inherited --include-groups -o json; "
        "repeatable, one a subscription")  # fmt: skip
    add("--definitions", required=True, type=Path, action="append", metavar="FILE",
        help="az role definition list --custom-role-only true -o json; repeatable")  # fmt: skip
    add("--app-roles", type=Path, metavar="FILE", help="Graph: servicePrincipals/ID/appRoleAssignments?$top=999")
    add("--owned", type=Path, metavar="FILE", help="Graph: servicePrincipals/ID/ownedObjects?$top=999")
    for command in (left, checked):
        command.add_argument(
            "--vault", type=Path, action="append", default=[], metavar="FILE",
            help="az keyvault show -n NAME -o json; repeatable; without it a vault is taken to decide by roles",
        )  # fmt: skip
    for command in (derived, left, checked):
        command.add_argument("policy", metavar="POLICY", help="policy.toml")
        command.add_argument("--vaults", metavar="NAMES", help="as in ROTATION_VAULTS; default: those of the policy")
    return parser


def _needed(options: argparse.Namespace, table: Table) -> Needed:
    policy, findings = check(read_text(options.policy), known_names())
    if findings:
        raise Unreadable("\n".join(f"{options.policy}:{one.line}: {one.message}" for one in findings))
    vaults = None
    if options.vaults is not None:
        urls = [one.strip() for one in options.vaults.split(",") if one.strip()]
        if not urls:
            raise Unreadable("--vaults names no vault: name them as ROTATION_VAULTS does, or leave it out")
        vaults = [url.partition("=")[0].removeprefix("https://").partition(".")[0].strip("/") for url in urls]
    return derive(policy, table, vaults)


def _granted(options: argparse.Namespace) -> Granted:
    places = _json(options.places, dict)
    principal = str(places.pop("principalId", "")).lower()
    if not principal:
        raise Unreadable(f"{options.places}: this names no principalId, the object id of the identity")
    # What is given on a management group is told once for each subscription that was asked.
    told = [one for path in options.granted for one in _json(path, list)]
    assignments = list({str(one.get("id", n)).lower(): one for n, one in enumerate(told)}.values())
    return Granted(
        principal=principal,
        places=places,
        # A group's count too, where az was asked with --include-groups.
        assignments=[
            one for one in assignments if str(one.get("principalId", "")).lower() == principal or _is_group(one)
        ],
        definitions=[one for path in options.definitions for one in _json(path, list)],
        vaults=_vaults(options),
        app_roles=_ids(options.app_roles, "appRoleId"),
        owned=_ids(options.owned, "id"),
    )


def _is_group(assignment: Mapping[str, Any]) -> bool:
    return str(assignment.get("principalType", "")).lower() == "group"


def _check(needed: Needed, granted: Granted, table: Table) -> int:
    found = _sound(lambda: compare(needed, granted, table))
    for line in found.warnings:
        print(f"warning: {line}")
    lines = [f"missing: {line}" for line in found.missing] + [f"too much: {line}" for line in found.excess]
    for line in lines:
        print(line, file=sys.stderr)
    if lines:
        return WRONG
    print("the identity has the rights that the policy needs, and no others")
    return SOUND


def _vaults(options: argparse.Namespace) -> list[dict[str, Any]]:
    return [_json(path, dict) for path in options.vault]


def _sound(look: Callable[[], _T]) -> _T:
    """What a look into az's answers finds; Unreadable where they are not shaped as az shapes them."""
    try:
        return look()
    except (KeyError, TypeError, AttributeError) as error:
        raise Unreadable(f"one of the files is not what az prints: {error} is not there") from None


def _ids(path: Path | None, name: str) -> frozenset[str] | None:
    if path is None:
        return None
    answer = _json(path, dict)
    if "@odata.nextLink" in answer:
        raise Unreadable(f"{path}: this is only a part of what Graph knows; ask with $top=999")
    return frozenset(str(one[name]).lower() for one in answer.get("value", []))


def _json(path: Path, kind: type) -> Any:
    try:
        read = json.loads(path.read_text())
    except (OSError, ValueError):
        raise Unreadable(f"{path}: can't be read as JSON; have az write it with -o json") from None
    if not isinstance(read, kind):
        raise Unreadable(f"{path}: this holds no {'list' if kind is list else 'object'}; see --help for what it is")
    return read


if __name__ == "__main__":
    sys.exit(main())
