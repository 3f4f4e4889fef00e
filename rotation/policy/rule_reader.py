"""One `[[rule]]` table of policy.toml -> a `Rule`, or everything that is wrong with it."""

import re
from collections.abc import Collection, Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING

from rotation.errors import Misconfigured
from rotation.frozen import Frozen
from rotation.policy import ANY_SLOT, MAX_VALIDITY_DAYS, TWO, VERIFY_EVERY, Rule, RuleTerms
from rotation.policy.table import Table
from rotation.policy.targets import POSTGRES_PORTS, HostTarget, Target, parse_target, repeated
from rotation.policy.windows import Window, parse_window
from rotation.terms import Admin, PasswordRules, Refresh, Tls

if TYPE_CHECKING:
    pass

KEYS = (
    "vaults", "secrets", "rotators", "targets", "slots", "pairs", "admin", "admin-user", "max-validity-days",
    "min-grace-hours", "min-interval-hours", "window", "verify-hours", "expiry-jitter-percent", "password", "tls",
    "followers", "retire", "max-grace-hours",
    "refresh",
)  # fmt: skip
PASSWORD_KEYS = ("length", "alphabet", "exclude", "require")
SHORTEST_PASSWORD, LONGEST_PASSWORD = 16, 256

_NAME = r"[A-Za-z0-9-]{1,127}"
_COVERED = r"!?[A-Za-z0-9*-]{1,127}"


class Known(Frozen):
    """What the rules may name.

    needs_slots, needs_target: rotators whose rules must list slots, or targets. takes_turns: rotators whose rules must
    list pairs of slots, where they list more than two. logs_in: those to which `admin`, `password` and `tls` matter.
    ports: by rotator, those that a host among its targets permits where it names none.
    """

    rotators: Collection[str]
    needs_slots: Collection[str] = ()
    needs_target: Collection[str] = ()
    takes_turns: Collection[str] = ()
    logs_in: Collection[str] = ()
    ports: Mapping[str, tuple[int, ...]] = MappingProxyType({})
    alphabets: Collection[str] = ("url-safe",)


def read_rule(table: Table, number: int, known: Known) -> Rule:
    """The rule of a table; only to be used where no problem was reported."""
    table.refuse_unknown(KEYS)
    usual = RuleTerms(rule=number)
    rotators = table.numbered("rotators", lambda name: _one_of(name, known.rotators), required=True)
    ports = frozenset(port for _, rotator in rotators for port in known.ports.get(rotator, ()))
    targets = table.numbered("targets", lambda text: parse_target(text, ports or POSTGRES_PORTS))
    rule = Rule(
        vaults=table.each("vaults", _vault, required=True),
        secrets=_secrets(table),
        rotators=tuple(rotator for _, rotator in rotators),
        targets=tuple(target for _, target in targets),
        terms=RuleTerms(
            rule=number,
            slots=table.each("slots", _slot),
            admin=_admin(table),
            pairs=_pairs(table),
            max_validity_days=table.number("max-validity-days", 1, 3650, MAX_VALIDITY_DAYS),
            min_grace_hours=table.number("min-grace-hours", 0, 8760, usual.min_grace_hours),
            min_interval=_hours(table, "min-interval-hours", usual.min_interval),
            window=_window(table),
            verify_every=_hours(table, "verify-hours", VERIFY_EVERY) or None,
            jitter_percent=table.number("expiry-jitter-percent", 0, 20, usual.jitter_percent),
            password=_password(table, known.alphabets),
            max_grace_hours=_max_grace_hours(table),
            tls=Tls(table.parsed("tls", lambda name: _one_of(name, tuple(Tls))) or usual.tls),
            followers=_followers(table),
            refresh=_refresh(table),
        ),
    )
    _refuse_wide_open(table, rule, known)
    for index, rotator in rotators:
        _refuse_without(table, index, rotator, known)
    for nth, name in repeated(rule.targets):
        place = (*table.place, "targets", targets[nth][0])
        table.problems.add(
            place, f"`targets` names one server or resource twice, before as {name:.200}; keep one of them"
        )
    return rule


def _hours(table: Table, key: str, default: timedelta) -> timedelta:
    return timedelta(hours=table.number(key, 0, 8760, default // timedelta(hours=1)))


def _refuse_without(table: Table, index: int, rotator: str, known: Known) -> None:
    """Report what is left out that this rotator must not be without."""
    place = (*table.place, "rotators", index)
    if rotator in known.needs_slots and "slots" not in table.values:
        table.problems.add(place, f"{rotator} needs `slots`: list the roles or keys that it may change")
    if rotator in known.needs_target and "targets" not in table.values:
        table.problems.add(place, f"{rotator} needs `targets`: list the servers or resources that it may change")


def _refuse_wide_open(table: Table, rule: Rule, known: Known) -> None:
    """Report what leaves open which credentials, or which two of them, the rule permits."""
    if ANY_SLOT in rule.terms.slots and not (rule.targets and all(_is_loopback(target) for target in rule.targets)):
        message = '`slots` "*" permits any role, so each of the `targets` must be localhost, 127.0.0.1 or [::1]'
        table.problems.add((*table.place, "slots"), f"{message}; list the roles")
    turning = next((rotator for rotator in rule.rotators if rotator in known.takes_turns), None)
    if turning is not None and len(set(rule.terms.slots)) > TWO and "pairs" not in table.values:
        from rotation.policy.pairs import such_as  # noqa: PLC0415  only for a file that is wrong

        message = f"{turning} takes two of the `slots` in turn, and here are more: say which two, such as"
        table.problems.add((*table.place, "slots"), f"{message} {such_as(rule.terms.slots)}")


def _is_loopback(target: Target) -> bool:
    return isinstance(target, HostTarget) and target.loopback


def _vault(text: str) -> str:
    if not re.fullmatch(_NAME, text):
        raise ValueError('a vault goes by its exact short name, such as "kv-orders-prod"; list each vault')
    return text.lower()


def _secrets(table: Table) -> tuple[str, ...]:
    patterns = table.each("secrets", _secret_pattern, required=True)
    if patterns and all(pattern.startswith("!") for pattern in patterns):
        table.problems.add((*table.place, "secrets"), "`secrets` only takes away; name what the rule covers as well")
    return patterns


def _secret_pattern(text: str) -> str:
    if not re.fullmatch(_COVERED, text):
        raise ValueError("a secret's name has letters, digits and hyphens; `*` means any, `!` in front means not")
    return text.lower()


def _slot(text: str) -> str:
    if text == ANY_SLOT:
        return text
    if text != text.strip() or not text or not text.isprintable() or "," in text or "*" in text:
        raise ValueError("a slot is the exact name of a role or key; list each")
    return text


def _pairs(table: Table) -> tuple[tuple[str, str], ...]:
    if "pairs" not in table.values:
        return ()
    from rotation.policy.pairs import read_pairs  # noqa: PLC0415  most rules have none, and a start need not load it

    return read_pairs(table)


def _followers(table: Table) -> tuple[str, ...]:
    if "followers" not in table.values:
        return ()
    from rotation.policy.followers import read_followers  # noqa: PLC0415  as with pairs

    return read_followers(table)


def _max_grace_hours(table: Table) -> int | None:
    if "retire" not in table.values and "max-grace-hours" not in table.values:
        return None
    from rotation.policy.retiring import read_max_grace_hours  # noqa: PLC0415  most rules have neither, as with pairs

    return read_max_grace_hours(table)


def _refresh(table: Table) -> tuple[Refresh, ...]:
    if "refresh" not in table.values:
        return ()
    from rotation.policy.refreshes import read_refreshes  # noqa: PLC0415  most rules have none

    return read_refreshes(table)


def _one_of(text: str, known: Collection[str]) -> str:
    if text not in known:
        raise ValueError(f"not known; write one of {', '.join(sorted(known))}")
    return text


def _admin(table: Table) -> Admin | None:
    admin = table.parsed("admin", _admin_of)
    user = table.text("admin-user")
    if user is None:
        return admin
    if "admin" not in table.values:
        table.problems.add((*table.place, "admin-user"), "`admin-user` without `admin`; say who the administrator is")
    return Admin(admin.kind, admin.secret, user) if admin is not None else None


def _admin_of(text: str) -> Admin:
    if text == "identity":
        return Admin("identity")
    kind, _, name = text.partition(":")
    if kind != "secret" or not re.fullmatch(_NAME, name):
        raise ValueError('write "identity" (this app\'s own) or "secret:NAME" (a secret of the same vault)')
    return Admin("secret", name.lower())


def _window(table: Table) -> Window | None:
    return table.parsed("window", parse_window)


def _password(table: Table, alphabets: Collection[str]) -> PasswordRules:
    values = table.values.get("password", {})
    if not isinstance(values, dict):
        table.problems.add((*table.place, "password"), '`password` must be like { length = 40, alphabet = "url-safe" }')
        return PasswordRules()
    inner = Table(values, (*table.place, "password"), table.problems, "password.")
    inner.refuse_unknown(PASSWORD_KEYS)
    default = PasswordRules()
    rules = PasswordRules(
        length=inner.number("length", SHORTEST_PASSWORD, LONGEST_PASSWORD, default.length),
        alphabet=inner.parsed("alphabet", lambda name: _one_of(name, alphabets)) or default.alphabet,
        exclude=inner.text("exclude") or default.exclude,
        require=inner.each("require", str),
    )
    if rules.exclude or rules.require:
        from rotation.passwords import check  # noqa: PLC0415  most rules have neither, as with pairs

        try:
            check(rules)
        except Misconfigured as error:
            key = str(error.field).removeprefix(inner.within)
            table.problems.add((*inner.place, key), error.message)
    return rules
