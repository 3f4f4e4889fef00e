"""What a type of Azure resource with two keys is, as data; `rows` in this folder have one of each.

A row says which calls list the keys and make one anew, what the keys are called there, what a consumer's value looks
like, and what switches keys off. `two_keys` makes the calls, `arm_value` reads values, `arm_key` is the rotator. A row
without a source is no row: where each fact is from stands above it.

Nothing here is compiled or imported but the rows themselves, since a start reads them to know which kinds there are.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from rotation.frozen import Frozen

NOTHING: Mapping[str, str] = MappingProxyType({})
SOON_S, LATER_S = 60, 300  # until the next look at what a resource makes by itself

# Names as ids have them, in lower case; those that are part of a host name can't lead elsewhere.
IN_A_HOST = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
CHILD = r"[a-z0-9_(](?:[a-z0-9_.()-]{0,255}[a-z0-9_)])?"


class Slot(Frozen):
    """One of the two keys.

    name: in the tag `slots` and in histories. listed: where the list has it, as `pick` reads it. sent: what the call
    that makes it anew calls it. created, id: likewise in the list, when it was made and what it is called; blank where
    the list does not say.
    """

    name: str
    listed: str
    sent: str
    created: str = ""
    id: str = ""


class Form(Frozen):
    """A connection string that a consumer may have: names with their texts, "=" between, ";" behind each.

    key: the name of the key's text. hosts: as the text of `address` names the resource itself, "{0}" for the first of
    the names in its id; what stands in for "{0}" alone decides, and the rest is Azure's own zone. scheme: before the
    host. port: that may be behind it. named: further texts and the number of the name in the id (-1: the last) that
    each must be. entity: the name of the text that says which entity is meant; where the id names one, it must be that.
    id: the name of the text that is the key's id. others: what else may be there, in lower case.
    """

    key: str
    address: str
    hosts: tuple[str, ...]
    scheme: str = "https://"
    port: str = "443"
    named: Mapping[str, int] = NOTHING  # type: ignore[assignment]
    entity: str = ""
    id: str = ""
    others: tuple[str, ...] = ()


class Address(Frozen):
    """A host, its port, and settings behind commas, as StackExchange.Redis reads them: no quotes, names in any case.

    hosts, port, others: as in `Form`. key: the name of the key's setting.
    """

    hosts: tuple[str, ...]
    port: str
    key: str = "password"
    others: tuple[str, ...] = ()


class Switch(Frozen):
    """What says that a resource takes no keys.

    property: its path below `properties`, as `pick` reads it. off: the texts (of JSON, in lower case) that say so.
    without: it is a list, and says so where this is not in it. outermost: it is a property of the resource that this
    one is within, so that reading it is a right on that one.
    """

    property: str
    off: tuple[str, ...] = ("true",)
    without: str = ""
    outermost: bool = False

    def is_off(self, found: object) -> bool:
        """Whether what stands there says so."""
        if self.without:
            return isinstance(found, list) and self.without not in found
        return str(found).lower() in self.off


class Keyed(Frozen):
    """A type of resource with two keys.

    name: of the kind of rotator. what: as people call the resource, such as "Service Bus access policy". types: in
    lower case, each with a pattern for each name in its ids. api_version: of all calls. role: that the app needs on
    it, in words.
    realm: the word before a resource's names in what a proof says, where the outermost name is its own in all of
    Azure; None: it is not, and the whole id says who it is.
    list_method, list_action; regenerate: the calls, below the id; "{slot}" and "{id}" are filled, in `body` too.
    chosen: the field of the body that takes a key of ours, so that it is staged before the call; None: Azure makes it.
    answers: whether the second call's answer has the keys as the list has them; else they are listed again, and may be
    the old ones for as long as the resource takes. one_key: the answer has the one key, under this name.
    long_running: the call may be answered before it is done (202), and is through once the resource's own
    `provisioningState` says so. patience_h: after how long a change that nobody sees is asked for once more.
    look_again_s: until the next look at one.
    bare: whether a value may be the key alone. key: a pattern of one, where it is not base64, hex or the like. forms:
    what else a value may be. switches: what to ask before a change.
    """

    name: str
    what: str
    types: Mapping[str, tuple[str, ...]]
    api_version: str
    role: str
    slots: tuple[Slot, Slot]
    realm: str | None = None
    list_method: str = "POST"
    list_action: str = "listKeys"
    regenerate: str = "regenerateKey"
    body: Mapping[str, str] = NOTHING
    chosen: str | None = None
    answers: bool = True
    one_key: str = ""
    long_running: bool = False
    patience_h: int = 1
    look_again_s: int = SOON_S
    bare: bool = True
    key: str = ""
    forms: tuple[Form | Address, ...] = ()
    switches: tuple[Switch, ...] = ()

    @property
    def both(self) -> tuple[str, str]:
        """The names of the two slots."""
        return (self.slots[0].name, self.slots[1].name)

    def slot(self, name: str) -> Slot:
        """One of the two."""
        return next(slot for slot in self.slots if slot.name == name)
