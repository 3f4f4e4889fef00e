"""`python -m rotation.rotators [--json]`: every kind of rotator, and what it does."""

from __future__ import annotations

import json
import sys

from rotation.rotators.listing import facts, table


def main(arguments: list[str]) -> int:
    """-> 0, or 2 where an argument is not known."""
    if arguments not in ([], ["--json"]):
        print("usage: python -m rotation.rotators [--json]", file=sys.stderr)  # noqa: T201  a command talks to its terminal
        return 2
    print(json.dumps(facts(), indent=2) if arguments else "\n".join(table()))  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
