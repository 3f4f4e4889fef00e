"""How a pipeline learns which texts to hide in its logs. Pure: the lines to print before anything else can print them.

Both platforms read commands from standard output, hide them, and compare line by line, so that a value of several
lines is registered line by line. Sources: Microsoft Learn, "Logging commands" (SetSecret), and for its escapes
microsoft/azure-pipelines-agent, docs/design/percentEncoding.md; GitHub Docs, "Workflow commands" (add-mask), and
actions/runner, src/Runner.Common/ActionCommand.cs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

SHORTEST = 4  # of one line among several: a mask of "}" or "--" would hide it everywhere, and show that it is there
_DECODED_BY_AZURE = ("%3B", "%0D", "%0A", "%5D", "%AZP25")


def mask_lines(values: Iterable[str], environ: Mapping[str, str]) -> list[str]:
    """What to print, without line ends; nothing where no pipeline is.

    environ: `TF_BUILD` is set by Azure DevOps, `GITHUB_ACTIONS` by GitHub.
    """
    parts = dict.fromkeys(part for value in values for part in _parts(value))
    lines = []
    if environ.get("TF_BUILD"):
        lines += [f"##vso[task.setsecret]{_for_azure(part)}" for part in parts]
    if environ.get("GITHUB_ACTIONS"):
        lines += [f"::add-mask::{part.replace('%', '%25')}" for part in parts]
    return lines


def _parts(value: str) -> list[str]:
    lines = [line for line in value.replace("\r", "\n").split("\n") if line.strip()]
    if len(lines) == 1:
        return lines
    return [line for line in lines if len(line.strip()) >= SHORTEST]


def _for_azure(part: str) -> str:
    """The agent takes `%AZP25` for `%` by default only: it is written where the plain text would be read otherwise."""
    return part.replace("%", "%AZP25") if any(one in part for one in _DECODED_BY_AZURE) else part
