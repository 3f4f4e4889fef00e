"""Tags of a secret: what they ask for, and what the next version's tags are.

People write the asking tags, and anyone who may write the secret can; nothing here is permitted yet, that is for
`rotation.policy`. Microsoft's rotation samples (Azure-Samples/KeyVault-Rotation-*) use other names for three of them,
which are understood too, and their published examples show stray spaces and mixed case, so names are read leniently.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from rotation.errors import Malformed, Unusable
from rotation.model import SecretRef, Spec
from rotation.terms import COMPANION_SUFFIX

# Our name of each tag, and Microsoft's samples' name for the same, as it is spelled there.
SAMPLE_NAMES = {"validity-days": "ValidityPeriodDays", "slot": "CredentialId", "target": "ProviderAddress"}
ASKING = ("rotator", "validity-days", "lead-days", "target", "slots", "grace-hours", "format", "follows")
INFORMING = ("slot", "rotated-at", "rotated-from")
OURS = frozenset({*ASKING, *INFORMING, *(name.lower() for name in SAMPLE_NAMES.values())})

DEFAULT_VALIDITY_DAYS, DEFAULT_LEAD_DAYS, DEFAULT_GRACE_HOURS = 90, 30, 72

# "About Azure Key Vault secrets", Secret tags: 15 of them, names and values of 256 characters each.
MAX_TAGS, LONGEST_TAG = 15, 256
# "Azure Key Vault keys, secrets, and certificates overview", Object identifiers: names of 1 to 127 characters.
LONGEST_NAME = 127
_NAME = re.compile(r"[0-9A-Za-z-]{1,127}")
# Names of vaults and versions are more limited; this much keeps a log's line one line, and a queue's message short.
_WORD = re.compile(r"[!-~]{1,127}")


def checked_name(name: str) -> str:
    """The name, if a secret can have it: nothing else may become a part of a vault's URL.

    Raises:
        Malformed: field "name".
    """
    if _NAME.fullmatch(name) is None:
        raise Malformed("the name of a secret has 1 to 127 letters, digits and hyphens", field="name")
    return name


def checked_word(text: str, field: str) -> str:
    """What is asked for as a vault or a version, where it could be one: it is looked up, and shown in logs.

    Raises:
        Malformed: of that field.
    """
    if _WORD.fullmatch(text) is None:
        raise Malformed(f"{field} has 1 to 127 letters, digits or signs of ASCII, and no space", field=field)
    return text


def parse(tags: Mapping[str, str]) -> Spec | None:
    """What the tags ask for; None where no `rotator` tag (or a blank one) makes the secret a managed one.

    So it is with the tag `follows`: a secret that repeats another's credential is changed by that one's runs alone.

    Raises:
        Unusable: a tag can't be understood; `field` is its name as the samples or we spell it.
    """
    asked = _Asked(tags)
    rotator = asked.text("rotator")
    if rotator is None or asked.text("follows") is not None:
        return None
    return Spec(
        rotator=rotator,
        validity_days=asked.number("validity-days", 1, 3650, DEFAULT_VALIDITY_DAYS),
        lead_days=asked.number("lead-days", 0, 3650, DEFAULT_LEAD_DAYS),
        grace_hours=asked.number("grace-hours", 0, 8760, DEFAULT_GRACE_HOURS),
        target=asked.text("target"),
        slots=asked.names("slots"),
        current_slot=asked.text("slot"),
        format=asked.text("format"),
    )


def leader_of(tags: Mapping[str, str]) -> SecretRef | None:
    """The secret whose credential this one repeats, by its tag `follows`; None where there is no such tag.

    In lower case, as the policy has it: Key Vault's names are case-insensitive.

    Raises:
        Unusable: field "follows"; it is not VAULT/SECRET.
    """
    text = _Asked(tags).text("follows")
    if text is None:
        return None
    vault, _, name = text.lower().partition("/")
    if not (text.isascii() and _NAME.fullmatch(vault) and _NAME.fullmatch(name)):
        raise Unusable(
            f"the tag follows is {text!a:.160}: make it VAULT/SECRET, the short name of a vault and a secret's name",
            field="follows",
        )
    return SecretRef(vault, name)


def format_of(tags: Mapping[str, str]) -> str | None:
    """The tag `format` of a secret, managed or not."""
    return _Asked(tags).text("format")


class _Asked:
    """The tags that mean something to us, by our name, each with the name that a person has to look for."""

    def __init__(self, tags: Mapping[str, str]) -> None:
        self._values: dict[str, str] = {}
        for name, value in tags.items():
            known = _known(name)
            if known is not None:
                if known in self._values:
                    raise Unusable(f"the tag {known} is there twice, in two spellings: keep one", field=known)
                self._values[known] = value.strip()

    def _find(self, name: str) -> tuple[str, str | None]:
        """The tag's name and value; ours wins over the samples'."""
        sample = SAMPLE_NAMES.get(name)
        if name not in self._values and sample is not None and sample.lower() in self._values:
            return sample, self._values[sample.lower()]
        return name, self._values.get(name)

    def text(self, name: str) -> str | None:
        """A blank tag says as little as none."""
        return self._find(name)[1] or None

    def number(self, name: str, least: int, most: int, default: int) -> int:
        tag, value = self._find(name)
        if value is None:
            return default
        if not re.fullmatch(r"[0-9]{1,9}", value) or not least <= int(value) <= most:
            raise Unusable(f"the tag {tag} is {value!a:.40}: make it a whole number, {least} to {most}", field=tag)
        return int(value)

    def names(self, name: str) -> tuple[str, ...]:
        tag, value = self._find(name)
        if value is None:
            return ()
        names = tuple(part.strip() for part in value.split(","))
        if not all(names):
            raise Unusable(f"the tag {tag} has a blank name in it: write names with one comma between", field=tag)
        if len(set(names)) != len(names):
            raise Unusable(f"the tag {tag} names the same one twice: write each once", field=tag)
        return names


@lru_cache(maxsize=256)  # a sweep asks this of every tag of every secret, and most secrets have the same ones
def _known(name: str) -> str | None:
    folded = name.strip().lower()
    return folded if folded in OURS else None


def effective_lead(spec: Spec) -> timedelta:
    """How long before expiry it is due: at most half of its life, else a short life would rotate every day."""
    return min(timedelta(days=spec.lead_days), timedelta(days=spec.validity_days) / 2)


def due_at(spec: Spec, expires_on: datetime | None, created_on: datetime) -> datetime:
    """When a version is due. One without an expiry is taken to live `validity-days` from its creation."""
    ends = expires_on if expires_on is not None else created_on + timedelta(days=spec.validity_days)
    return ends - effective_lead(spec)


def next_tags(tags: Mapping[str, str], *, slot: str, rotated_at: datetime, rotated_from: str) -> dict[str, str]:
    """The tags of the next version: unknown ones untouched, ours brought up to date.

    Pure, so that it also tells beforehand, with the longest slot that may come, whether the next version will fit.
    The samples' CredentialId follows the slot where it is in use, in its own spelling, since others may read it.

    Raises:
        Unusable: field "tags"; more or longer tags than a vault keeps.
    """
    credential_id = SAMPLE_NAMES["slot"].lower()
    following = {name: slot if _known(name) == credential_id else value for name, value in tags.items()}
    result = {name: value for name, value in following.items() if _known(name) not in INFORMING}
    result["slot"] = slot
    result["rotated-at"] = rotated_at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    result["rotated-from"] = rotated_from
    _check_limits(result)
    return result


def _check_limits(tags: Mapping[str, str]) -> None:
    too_many = len(tags) - MAX_TAGS
    if too_many > 0:
        spare = ", ".join(f"{name!a:.40}" for name in tags if _known(name) is None)
        raise Unusable(
            f"the next version would have {len(tags)} tags and a vault keeps {MAX_TAGS}: "
            f"drop {too_many} of those that mean nothing here: {spare}",
            field="tags",
        )
    for name, value in tags.items():
        if len(name) > LONGEST_TAG or len(value) > LONGEST_TAG:
            raise Unusable(
                f"the tag {name!a:.40} would have a name or value of over {LONGEST_TAG} characters, "
                "more than a vault keeps: shorten or drop it",
                field="tags",
            )


def companion(name: str) -> str:
    """The name of the secret that holds staged values.

    Raises:
        Unusable: field "name"; it would be too long, or `name` is itself a companion.
    """
    if is_companion(name):
        raise Unusable(f"{name} is where staged values are kept: remove its `rotator` tag", field="name")
    result = name + COMPANION_SUFFIX
    if len(result) > LONGEST_NAME:
        raise Unusable(
            f"with {COMPANION_SUFFIX} for staged values the name has {len(result)} characters and a vault takes "
            f"{LONGEST_NAME}: use a name of at most {LONGEST_NAME - len(COMPANION_SUFFIX)}",
            field="name",
        )
    return result


def is_companion(name: str) -> bool:
    """Whether a secret holds staged values; Key Vault's names are case-insensitive."""
    return name.lower().endswith(COMPANION_SUFFIX)


def companion_tags(name: str, *, operation_id: str, slot: str | None) -> dict[str, str]:
    """The tags of a staged value; no slot where the provider will assign one."""
    tags = {"staged-for": name, "operation-id": operation_id}
    return tags if slot is None else {**tags, "slot": slot}
