"""`python -m rotation.policy check FILE`: what is wrong with a policy, by line, before it is deployed."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

from rotation.errors import Misconfigured
from rotation.policy import ANY_SLOT, Policy, Rule
from rotation.policy.file import Finding, check, read_text
from rotation.policy.known import known_names
from rotation.policy.rule_reader import Known
from rotation.policy.targets import HostTarget, Scope
from rotation.policy.toml_lines import Lines, Path

USAGE = "usage: python -m rotation.policy check FILE"
SOUND, WRONG = 0, 2
PRIVATE = ".privatelink."  # "Azure Private Endpoint private DNS zone values": is before the service's own suffix


def main(arguments: Sequence[str]) -> int:
    """0 where the file is sound, said on stdout; 2 where it is not, or can't be read, said on stderr.

    Warnings go to stderr as well, and leave the file sound.
    """
    if len(arguments) != 2 or arguments[0] != "check":  # noqa: PLR2004  a verb and a file
        print(USAGE, file=sys.stderr)  # noqa: T201  a command talks to its terminal
        return WRONG
    name = arguments[1]
    try:
        text = read_text(name)
        known = known_names()
        policy, findings = check(text, known)
    except Misconfigured as error:
        print(error.message, file=sys.stderr)  # noqa: T201
        return WRONG
    for finding in findings:
        print(f"{name}:{finding.line}: {finding.message}", file=sys.stderr)  # noqa: T201
    if findings:
        return WRONG
    for warning in warnings(policy, text, known):
        print(f"{name}:{warning.line}: warning: {warning.message}", file=sys.stderr)  # noqa: T201
    count = len(policy.rules)
    print(f"{name}: {count} rule{'' if count == 1 else 's'}, sound")  # noqa: T201
    return SOUND


def warnings(policy: Policy, text: str, known: Known) -> list[Finding]:
    """What a sound policy may mean otherwise than it says; nothing that the app's start has to know."""
    lines = Lines(text)
    found = []
    for rule, written in zip(policy.rules, tomllib.loads(text).get("rule", []), strict=True):
        for key, message in (*_wide(rule, known), *_maybe_twice(rule), *_idle(rule, written, known)):
            found.append(Finding(lines.of(("rule", rule.terms.rule - 1, *key)), message))
    return sorted(found, key=lambda one: one.line)


def _wide(rule: Rule, known: Known) -> Iterator[tuple[Path, str]]:
    """A rule permits its secrets x slots x targets: each of the secrets may ask for any of the credentials."""
    patterns = [(index, pattern) for index, pattern in enumerate(rule.secrets) if pattern[0] != "!" and "*" in pattern]
    if not patterns or not set(rule.rotators) & set(known.needs_target):
        return  # one secret, one credential; what is made here belongs to its own secret
    slots, targets = set(rule.terms.slots), rule.targets
    any_slot = not slots or ANY_SLOT in slots
    any_target = any(isinstance(target, Scope) for target in targets)
    count = "any number of" if any_slot or any_target else len(slots) * len(targets)
    which = " or ".join(pattern for _, pattern in patterns)
    shares = (
        f"{'any slot' if any_slot else _of(len(slots), 'slot')} on "
        f"{'any target of a scope' if any_target else _of(len(targets), 'target')}"
    )
    message = f"rule {rule.terms.rule} lets every secret that matches {which} have {shares}"
    end = f"{count} credential{'' if count == 1 else 's'}; narrow it if one secret should own one"
    yield ("secrets", patterns[0][0]), f"{message}: {end}"


def _idle(rule: Rule, written: Mapping[str, object], known: Known) -> Iterator[tuple[Path, str]]:
    """Terms that say nothing to any rotator of the rule."""
    if set(rule.rotators) & set(known.logs_in):
        return
    for key in ("admin", "password", "tls"):
        if key in written:
            named = " or ".join(rule.rotators)
            yield (
                (key,),
                f"rule {rule.terms.rule}: `{key}` does nothing for {named}, which sets no password at a server",
            )


def _of(count: int, what: str) -> str:
    return f"1 {what}" if count == 1 else f"any of {count} {what}s"


def _maybe_twice(rule: Rule) -> Iterator[tuple[Path, str]]:
    """Two names that DNS may lead to one server. The text alone does not tell, so it is not refused."""
    hosts = [(index, target.name) for index, target in enumerate(rule.targets) if isinstance(target, HostTarget)]
    for (_, one), (index, other) in combinations(hosts, 2):
        if one == other:
            continue  # two ports
        # What another one begins with sorts before it.
        short, long = sorted((one.replace(PRIVATE, "."), other.replace(PRIVATE, ".")))
        if short == long or long.startswith(f"{short}."):
            message = f"rule {rule.terms.rule}: {one} and {other} may be one server, whose roles would have two owners"
            yield ("targets", index), f"{message}; keep the name that the values have"
