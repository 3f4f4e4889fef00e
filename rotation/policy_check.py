"""`python -m rotation.policy check FILE`: what is wrong with a policy, by line, before it is deployed."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rotation.errors import Misconfigured
from rotation.policy_file import check, read_text
from rotation.policy_rules import Known

USAGE = "usage: python -m rotation.policy check FILE"
SOUND, WRONG = 0, 2


def main(arguments: Sequence[str]) -> int:
    """0 where the file is sound, said on stdout; 2 where it is not, or can't be read, said on stderr."""
    if len(arguments) != 2 or arguments[0] != "check":  # noqa: PLR2004  a verb and a file
        print(USAGE, file=sys.stderr)  # noqa: T201  a command talks to its terminal
        return WRONG
    name = arguments[1]
    try:
        policy, findings = check(read_text(name), known_names())
    except Misconfigured as error:
        print(error.message, file=sys.stderr)  # noqa: T201
        return WRONG
    for finding in findings:
        print(f"{name}:{finding.line}: {finding.message}", file=sys.stderr)  # noqa: T201
    if findings:
        return WRONG
    count = len(policy.rules)
    print(f"{name}: {count} rule{'' if count == 1 else 's'}, sound")  # noqa: T201
    return SOUND


def known_names() -> Known:
    """What the app's own rotators are called, and what their rules must list.

    Nothing else that the policy is made of knows them: the app's start hands them in, as is done here.
    """
    from rotation.rotators import ROTATORS  # noqa: PLC0415  here alone, and only for the command

    return Known(
        rotators=ROTATORS,
        needs_slots={name for name, kind in ROTATORS.items() if kind.needs_slots},
        needs_target={name for name, kind in ROTATORS.items() if kind.needs_target},
    )
