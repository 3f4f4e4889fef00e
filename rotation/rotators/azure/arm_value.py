"""The value of a secret that holds one key of an Azure resource: the key alone, or a connection string with it.

A consumer believes the value, so what is beside the key must be the resource's own: a client would carry the key to
whatever host stands there. The clients of Azure's services split a string at each ";" and a text at its first "=",
know no quotes, and fold the names' case; StackExchange.Redis does so with "," instead. What is here is read as all of
them do, or refused; what is not the key stays exactly as it was written.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from rotation.errors import Unusable
from rotation.model import SecretValue, Spec
from rotation.rotators.azure.table import Address, Form, Keyed
from rotation.rotators.azure.two_keys import Key
from rotation.rotators.bare import has_the_shape_of_a_key, other_thing

_KEY = re.compile(r"[A-Za-z0-9+/_.~@-]{16,400}={0,2}")
PLAIN, STRING = "plain", "connection-string"


@dataclass(frozen=True, slots=True)
class ArmValue:
    """form: `PLAIN` or `STRING`. id: what the value calls its key; blank where it does not."""

    form: str
    key: SecretValue
    id: str = ""
    _parts: tuple[str, ...] = field(default=(), repr=False)  # around the key and the id, in the order of the text
    _order: tuple[str, ...] = ("key",)

    def with_key(self, new: Key) -> SecretValue:
        """The same value with another key, and its id where it names one."""
        if self.form == PLAIN:
            return new.value
        written = {"key": new.value.reveal(), "id": new.id}
        filled = [part + written[what] for part, what in zip(self._parts, self._order, strict=False)]
        return SecretValue("".join(filled) + self._parts[-1])

    def holds(self, key: Key) -> bool:
        """Whether it is this very key."""
        return self.key == key.value and (not self.id or self.id == key.id)


@dataclass(frozen=True, slots=True)
class _Setting:
    """A name in lower case, its text, and where the text begins and ends."""

    name: str
    text: str
    start: int
    end: int


def read_value(value: SecretValue, spec: Spec, keyed: Keyed, names: tuple[str, ...]) -> ArmValue:
    """The value of a secret for a key of the resource with these names.

    Raises:
        Unusable: it holds no key, something that nobody here knows, or something that is not the resource's own.
    """
    if spec.format not in {None, PLAIN}:
        raise Unusable(
            f"the tag format is {spec.format!a:.40}, and a value of {keyed.name} says itself what it is: leave it out",
            field="format",
        )
    text = value.reveal()
    if keyed.bare and _is_key(text, keyed):
        return ArmValue(PLAIN, value)
    if spec.format is None and text.isascii() and text.isprintable():
        for form in keyed.forms:
            found = _of_form(text, form, keyed, names)
            if found is not None:
                return found
    raise _unknown(keyed)


def _is_key(text: str, keyed: Keyed) -> bool:
    if keyed.key:
        return re.fullmatch(keyed.key, text) is not None
    return _KEY.fullmatch(text) is not None and has_the_shape_of_a_key(text) and other_thing(text) is None


def _of_form(text: str, form: Form | Address, keyed: Keyed, names: tuple[str, ...]) -> ArmValue | None:
    """None: it is not of this form."""
    settings = _settings(text, "," if isinstance(form, Address) else ";")
    host = settings.pop(0).text if isinstance(form, Address) and settings and not settings[0].name else None
    found = {one.name: one for one in settings}
    key = found.get(form.key.lower())
    if key is None or (isinstance(form, Form) and form.address.lower() not in found):
        return None
    if len(found) != len(settings) or "" in found:
        raise _twice()
    if _KEY.fullmatch(key.text) is None:
        raise Unusable(f"the value's {form.key} is no key of a {keyed.what}: write the key as it is", field="value")
    written = [("key", key)]
    if isinstance(form, Address):
        _check_host(host or "", form.hosts, "", form.port, names, keyed)
        _check_known(found, (form.key, *form.others), keyed)
    else:
        _check(form, found, names, keyed)
        if form.id:
            written.append(("id", found[form.id.lower()]))
    written.sort(key=lambda one: one[1].start)
    edges = [0, *(edge for _, one in written for edge in (one.start, one.end)), len(text)]
    parts = tuple(text[start:end] for start, end in zip(edges[::2], edges[1::2], strict=True))
    called = found[form.id.lower()].text if isinstance(form, Form) and form.id else ""
    return ArmValue(STRING, SecretValue(key.text), called, parts, tuple(what for what, _ in written))


def _check(form: Form, found: dict[str, _Setting], names: tuple[str, ...], keyed: Keyed) -> None:
    """All that stands beside the key."""
    _check_host(found[form.address.lower()].text, form.hosts, form.scheme, form.port, names, keyed)
    for name, place in form.named.items():
        if name.lower() not in found or found[name.lower()].text.lower() != names[place]:
            raise _not_its_own(name, keyed)
    if form.id and form.id.lower() not in found:
        raise _not_its_own(form.id, keyed)
    entity = found.get(form.entity.lower()) if form.entity else None
    if entity is not None and len(names) > len(form.named) + 1 and entity.text.lower() != names[1]:
        raise _not_its_own(form.entity, keyed)
    _check_known(found, (form.key, form.address, form.entity, form.id, *form.named, *form.others), keyed)


def _check_known(found: dict[str, _Setting], known: tuple[str, ...], keyed: Keyed) -> None:
    strange = sorted(found.keys() - {one.lower() for one in known})
    if strange:
        raise Unusable(
            f"the value has {strange[0]!a:.40}, which is nothing that a connection string of a {keyed.what} is known "
            "to have: take it out",
            field="value",
        )


def _check_host(
    text: str, hosts: tuple[str, ...], scheme: str, port: str, names: tuple[str, ...], keyed: Keyed
) -> None:
    own = "|".join(_host(one, names) for one in hosts)
    if re.fullmatch(rf"{re.escape(scheme)}(?:{own})(?::{port})?/?", text, re.IGNORECASE | re.ASCII) is None:
        raise Unusable(
            f"the host in the value is not that of the {keyed.what} of the tag target, so a consumer would carry the "
            "key elsewhere: correct one of them",
            field="value",
        )


def _host(template: str, names: tuple[str, ...]) -> str:
    """A pattern. "*." in a template is one label that Azure itself puts in, or none."""
    before, star, after = template.format(*names).partition("*.")
    return re.escape(before) + (rf"(?:[a-z0-9-]+\.)?{re.escape(after)}" if star else "")


def _settings(text: str, between: str) -> list[_Setting]:
    """Each name with its text, as the clients part them; a part without "=" has no name."""
    found: list[_Setting] = []
    start = 0
    for part in text.split(between):
        name, equals, rest = part.partition("=")
        if not equals:
            name, rest = "", part
        if part.strip():
            begin = start + len(part) - len(rest)
            blank = len(rest) - len(rest.lstrip())
            found.append(_Setting(name.strip().lower(), rest.strip(), begin + blank, begin + len(rest.rstrip())))
        start += len(part) + 1
    return found


def _unknown(keyed: Keyed) -> Unusable:
    shapes = ["a key alone"] if keyed.bare else []
    shapes += [shape(form) for form in keyed.forms]
    return Unusable(f"the value is not what {keyed.name} can change; write {' or '.join(shapes)}", field="value")


def shape(form: Form | Address) -> str:
    """How people write it, with the names of what has to be in it."""
    if isinstance(form, Address):
        return f"HOST:{form.port.partition('|')[0]},{form.key}=KEY,ssl=True"
    named = "".join(f"{name}=…;" for name in (*form.named, *([form.id] if form.id else [])))
    return f"{form.address}={form.scheme}HOST;{named}{form.key}=KEY"


def _not_its_own(name: str, keyed: Keyed) -> Unusable:
    return Unusable(f"the value's {name} is not that of the {keyed.what} of the tag target", field="value")


def _twice() -> Unusable:
    return Unusable(
        "a setting is twice in the value's connection string, or has no name: leave one of each", field="value"
    )
