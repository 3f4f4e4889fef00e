"""`followers` of a rule: secrets that repeat the credential of one that it covers. Loaded only where it has some."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rotation.terms import COMPANION_SUFFIX

if TYPE_CHECKING:
    from rotation.policy import Policy
    from rotation.policy.table import Table
    from rotation.policy.toml_lines import Path

AT_MOST = 20  # each run reads them all, and writes them in the time of one lease
_FOLLOWER = r"[A-Za-z0-9-]{1,127}/[A-Za-z0-9-]{1,127}"


def read_followers(table: Table) -> tuple[str, ...]:
    """Each as "vault/secret" in lower case; what is wrong by itself, or within its rule, is reported."""
    place = (*table.place, "followers")
    numbered = table.numbered("followers", _follower)
    found = tuple(name for _, name in numbered)
    vaults, secrets = (_lowered(table.values.get(key)) for key in ("vaults", "secrets"))
    for nth, (index, name) in enumerate(numbered):
        vault, _, secret = name.partition("/")
        if name in found[:nth]:
            table.problems.add((*place, index), f"`followers` names {name} twice; keep one of them")
        elif vault in vaults and secret in secrets:
            message = "the rule's own `secrets` names it, and no secret follows itself or leads as well"
            table.problems.add((*place, index), f"`followers` {name!a:.160}: {message}; take it out of one of the two")
    if len(found) > AT_MOST:
        table.problems.add(place, f"`followers` names {len(found)} secrets, and {AT_MOST} can be written beside one")
    return found


def _follower(text: str) -> str:
    if not re.fullmatch(_FOLLOWER, text):
        raise ValueError(
            "a follower goes by its exact name with its vault's short name, such as "
            '"kv-orders-prod/orders-db-url"; list each'
        )
    if text.lower().endswith(COMPANION_SUFFIX):
        raise ValueError("staged values are kept under such a name; write the secret's own name")
    return text.lower()


def _lowered(values: object) -> frozenset[str]:
    listed = values if isinstance(values, list) else []
    return frozenset(value.lower() for value in listed if isinstance(value, str))


def impossible_followers(policy: Policy) -> Iterator[tuple[Path, str]]:
    """Where in the file a follower leads too, by another rule, or is an administrator's secret; and what to write."""
    administrators = {
        f"{vault}/{rule.terms.admin.secret}"
        for rule in policy.rules
        if rule.terms.admin is not None and rule.terms.admin.secret is not None
        for vault in rule.vaults
    }
    for rule in policy.rules:
        for index, name in enumerate(rule.terms.followers):
            place = ("rule", rule.terms.rule - 1, "followers", index)
            vault, _, secret = name.partition("/")
            leads = next((other.terms.rule for other in policy.rules if other.names(vault, secret)), None)
            if leads is not None:
                message = f"rule {leads} covers it, and no follower is a leader"
                yield place, f'`followers` {name!a:.160}: {message}; add "!{secret}" to that rule\'s `secrets`'
            if name in administrators:
                yield place, f"`followers` {name!a:.160}: an administrator logs in by this secret; take it out"
