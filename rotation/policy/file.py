"""policy.toml -> a `Policy`. Every mistake in it is reported with its line, all at once.

The keys and what they mean are in the sample policy.toml. Where a key is left out, the term is as in `policy.Permit`.
"""

import os
import re
import tomllib
from collections.abc import Iterator

from rotation.errors import Misconfigured
from rotation.frozen import Frozen
from rotation.policy import Policy, Rule
from rotation.policy.rule_reader import Known, read_rule
from rotation.policy.self_protection import covered_administrators, exposed_administrators
from rotation.policy.table import Problems, Table


class Finding(Frozen):
    """One mistake: its line, from 1; what is wrong and the remedy."""

    line: int
    message: str


def load(path: str | os.PathLike[str], known: Known) -> Policy:
    """The policy of a file. known: what its rules may name.

    Raises:
        Misconfigured: field "ROTATION_POLICY"; the first mistake with file and line, and how many more there are.
    """
    name = os.fspath(path)
    policy, findings = check(read_text(name), known)
    if findings:
        more = f" (and {len(findings) - 1} more)" if findings[1:] else ""
        raise Misconfigured(f"{name}:{findings[0].line}: {findings[0].message}{more}", field="ROTATION_POLICY")
    return policy


def read_text(name: str) -> str:
    """The file's text.

    Raises:
        Misconfigured: it can't be read.
    """
    try:
        with open(name, "rb") as file:  # noqa: PTH123  pathlib is not needed for anything else on a cold start
            content = file.read()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        why = (isinstance(error, OSError) and error.strerror) or "not a file name"
        message = f"{name}: can't be read ({why}); name the policy's file"
        raise Misconfigured(message, field="ROTATION_POLICY") from None
    try:
        return content.decode("utf-8-sig")  # some editors on Windows begin with a byte order mark
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        message = f"{name}:{line}: this is not UTF-8; save the file in that encoding"
        raise Misconfigured(message, field="ROTATION_POLICY") from None


def check(text: str, known: Known) -> tuple[Policy, list[Finding]]:
    """The policy, and what is wrong with it by line. With any finding the policy is not to be used."""
    try:
        document = tomllib.loads(text)
    except RecursionError:
        return Policy(), [Finding(1, "it is nested too deeply; write [[rule]] tables")]
    except ValueError as error:
        return Policy(), [_syntax_error(text, str(error))]
    problems = Problems()
    policy = _read(Table(document, (), problems), known)
    if not problems.found:
        for rule, vault, secret in covered_administrators(policy):
            place = ("rule", rule.terms.rule - 1, "secrets")
            problems.add(place, f'`secrets` covers the administrator\'s {vault}/{secret}; add "!{secret}" to the list')
        problems.found.extend(exposed_administrators(policy))
        if any(rule.terms.followers for rule in policy.rules):
            from rotation.policy.followers import impossible_followers  # noqa: PLC0415  most policies have none

            problems.found.extend(impossible_followers(policy))
        if any(rule.terms.refresh for rule in policy.rules):
            from rotation.policy.refresh_places import impossible_refreshes  # noqa: PLC0415  most policies have none

            problems.found.extend(impossible_refreshes(policy))
    if not problems.found:
        return policy, []
    from rotation.policy.toml_lines import Lines  # noqa: PLC0415  only for a file that is wrong

    lines = Lines(text)
    found = sorted((lines.of(place), message) for place, message in problems.found)
    return policy, [Finding(line, message) for line, message in found]


def _read(top: Table, known: Known) -> Policy:
    top.refuse_unknown(("rule",))
    tables = top.values.get("rule", [])
    if not isinstance(tables, list):
        top.problems.add(("rule",), "`rule` must be a list of tables; write [[rule]] with two brackets")
        return Policy()
    return Policy(tuple(_rules(top.problems, tables, known)))


def _rules(problems: Problems, tables: list[object], known: Known) -> Iterator[Rule]:
    for index, table in enumerate(tables):
        place = ("rule", index)
        if isinstance(table, dict):
            yield read_rule(Table(table, place, problems), index + 1, known)
        else:
            problems.add(place, "a rule must be a table; write [[rule]] and its keys below")


def _syntax_error(text: str, message: str) -> Finding:
    """The parser says the line in words only; "end of document" is the last one."""
    where = re.search(r" \((?:at line ([0-9]+), column [0-9]+|at end of document)\)$", message)
    if where is None:  # not the parser's own words: a number with thousands of digits
        return Finding(1, "this is no TOML; a number in it is too long")
    line = int(where[1]) if where[1] else text.rstrip().count("\n") + 1
    return Finding(line, f"this is no TOML: {message[: where.start()]}; mend the line")
