"""Which entries of `refresh` no secret, or not this one, may have: seen once all rules are read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rotation.terms import Refresh

if TYPE_CHECKING:
    from rotation.policy import Policy, Rule
    from rotation.policy.toml_lines import Path


def impossible_refreshes(policy: Policy) -> Iterator[tuple[Path, str]]:
    """Where in the file an entry is that no secret, or not this one, may have; and what to write."""
    yield from _exposed_secrets(policy)
    yield from _shared_places(policy)


def _exposed_secrets(policy: Policy) -> Iterator[tuple[Path, str]]:
    """An administrator's secret would be handed to a refresh target."""
    administrators = {
        (vault, rule.terms.admin.secret)
        for rule in policy.rules
        if rule.terms.admin is not None and rule.terms.admin.secret is not None
        for vault in rule.vaults
    }
    for place, _, one in _entries(policy):
        if one.secret in administrators:
            yield place, f"`refresh` names the administrator's {'/'.join(one.secret or ())}; name another secret"


def _shared_places(policy: Policy) -> Iterator[tuple[Path, str]]:
    """Several secrets would be written to one place, and the last one that was rotated would be there."""
    whose: dict[str, tuple[tuple[str, ...], Refresh]] = {}
    for place, rule, one in _entries(policy):
        if one.part is None:
            continue
        secret = (*rule.vaults, *rule.secrets)
        if len(rule.vaults) != 1 or len(rule.secrets) != 1 or any("*" in name for name in rule.secrets):
            yield (
                place,
                (
                    f"`refresh` with {one.kind} writes one secret to one place, and the rule covers more than one; "
                    "give that secret a rule of its own, with one vault and one exact name"
                ),
            )
            continue
        first, other = whose.setdefault(_written_place(one), (secret, one))
        if first != secret:
            yield place, f"`refresh`: {one.name} is where {'/'.join(first)} is written already; name another place"
        elif (other.part, other.secret) != (one.part, one.secret):
            yield place, f"`refresh`: {one.name} is written twice, and not in the same way; leave one of the two"


def _written_place(one: Refresh) -> str:
    """A service connection is the organization's, though several projects may share it."""
    owner, _, _ = one.target.partition("/")
    connection = dict(one.options).get("connection")
    return one.name.lower() if connection is None else f"{owner}/{connection}".lower()


def _entries(policy: Policy) -> Iterator[tuple[Path, Rule, Refresh]]:
    for rule in policy.rules:
        for index, one in enumerate(rule.terms.refresh):
            yield ("rule", rule.terms.rule - 1, "refresh", index), rule, one
