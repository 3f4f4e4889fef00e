"""Reads what the Azure CLI's own help says of the commands that we use, into az.json.

Those are what the pages show, what a deployment prints, and what its scripts call, as their stand-in knows it.
`python -m tests.docs.az AZ`, after there is one that there was not before. AZ: the program, of an installed
azure-cli; nobody logs in, and nothing is called.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

from infra.rights.needed import Needed
from infra.rights.steps import steps
from infra.rights.table import load
from infra.vaults.judged import GIVE_IDENTITY
from infra.vaults.left import left
from tests.docs.commands import of, pages, within
from tests.infra.az.__main__ import COMMANDS

TABLE = Path(__file__).parent / "az.json"
# Of every command, and never in our pages.
GLOBAL = {"--debug", "--help", "-h", "--verbose", "--acquire-policy-token", "--change-reference", "--only-show-errors"}
# An extension's, which the CLI fetches over the network: Microsoft Learn, "az monitor log-analytics".
EXTENSIONS = {
    "monitor log-analytics query": {
        "options": "--analytics-query --output --query --subscription --timespan --workspace --workspaces -o -t -w",
        "required": ["--analytics-query", "--workspace -w"],
    }
}
_OPTION = re.compile(r"^    ((?:--?[\w-]+ ?)+)")


def name_and_options(words: list[str]) -> tuple[str, list[str]]:
    """ "keyvault show" and its options; what comes after a `>` is the shell's."""
    mine = words[1 : words.index(">")] if ">" in words else words[1:]
    first = next((at for at, word in enumerate(mine) if word.startswith(("-", "…"))), len(mine))
    return " ".join(mine[:first]), [word for word in mine[first:] if word.startswith("-")]


def printed() -> list[list[str]]:
    """The words of the commands that a deployment prints for a person to run."""
    gone = {"vault": "kv-a", "name": "evgst-kv-a", "subscriptionId": "s", "resourceGroup": "rg-a"}
    needed = Needed(("kv-a",), (), (), ("application",), (), ())
    lines = [
        *left([gone], [], "keyturn-prod", "--resource-group rg-a"),
        *steps(needed, load(), "principal", {"kv-a": {"id": "/subscriptions/s"}}),
        GIVE_IDENTITY,
    ]
    return [words for line in lines for words in within("az", line)]


def used() -> list[str]:
    """The names of all commands."""
    spoken = {name_and_options(words)[0] for words in [*of("az", pages()), *printed()]}
    return sorted(spoken | set(COMMANDS))


def told(az: str, name: str) -> dict[str, object]:
    """options: all spellings. required: for each option that must be given, its spellings."""
    answer = subprocess.run([az, *name.split(), "--help"], capture_output=True, text=True, check=False)
    if not answer.stdout.lstrip().startswith("Command"):
        sys.exit(f"az {name}: {answer.stderr.strip() or 'is a group, and no command'}")
    found = [(match[1].split(), line) for line in answer.stdout.splitlines() if (match := _OPTION.match(line))]
    options = {spelling for spellings, _ in found for spelling in spellings} - GLOBAL
    required = [" ".join(spellings) for spellings, line in found if "[Required]" in line]
    return {"options": " ".join(sorted(options)), "required": required}


def main(az: str) -> None:
    version = json.loads(subprocess.run([az, "version"], capture_output=True, text=True, check=True).stdout)[
        "azure-cli"
    ]
    commands = {name: EXTENSIONS.get(name) or told(az, name) for name in used()}
    lines = ",\n".join(f"    {json.dumps(name)}: {json.dumps(facts)}" for name, facts in commands.items())
    TABLE.write_text(f'{{\n  "azure-cli": "{version}",\n  "commands": {{\n{lines}\n  }}\n}}\n')


if __name__ == "__main__":
    main(sys.argv[1])
