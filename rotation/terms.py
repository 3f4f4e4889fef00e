"""The nouns that the settings and the policy need: all that a cold start loads of the model.

Everybody else takes them from `rotation.model`, where they are beside the rest. The records that a start loads, here
and in the policy's modules, are `Frozen`: a frozen dataclass takes sixty times as long to declare. To load the whole
model would make a start 8 % longer, in instructions of the processor (ADR 9).
"""

import hmac
from enum import StrEnum
from typing import NoReturn

from rotation.frozen import Frozen

COMPANION_SUFFIX = "--staged"  # of the name of the secret that holds another's staged values


class SecretValue:
    """Text that must never be seen: repr, str, format and pickle do not show it.

    The one way to the text is `reveal()`, so a reviewer finds every use by that word.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself. Hand it to a driver or an SDK, never to a message."""
        return self._text

    def __repr__(self) -> str:
        return "SecretValue(hidden)"

    __str__ = __repr__

    def __format__(self, _spec: str) -> str:
        return repr(self)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SecretValue):
            return NotImplemented
        ours, theirs = (one.reveal().encode(errors="surrogatepass") for one in (self, other))
        return hmac.compare_digest(ours, theirs)

    def __hash__(self) -> int:
        return hash((SecretValue, self._text))

    def __reduce_ex__(self, _protocol: object) -> NoReturn:
        message = "a secret value is not serialised"
        raise TypeError(message)


class PasswordRules(Frozen):
    """How long and of which alphabet a new password is; see `rotation.passwords`.

    exclude: characters that it must not have. require: classes of characters that it must have, such as "symbol"; none:
    upper and lower case and digits, as far as the alphabet has them.
    """

    length: int = 40
    alphabet: str = "url-safe"
    exclude: str = ""
    require: tuple[str, ...] = ()


class Tls(StrEnum):
    """How a database connection is secured; from the policy alone."""

    VERIFY_FULL = "verify-full"
    DISABLE = "disable"


class Admin(Frozen):
    """The administrator that a policy rule names; never from a tag.

    kind "identity": log in with this app's Entra token. kind "secret": with the secret `secret` of the same vault.
    user: the administrator's role name where neither the token nor the secret's value says it.
    """

    kind: str
    secret: str | None = None
    user: str | None = None


WHOLE, PASSWORD = "value", "password"  # what of a value a refresh target gets: see `Refresh.part`


class Refresh(Frozen):
    """What is asked to take a new version, once it is published; from the policy alone. See `rotation.refreshers`.

    kind: such as "app-settings". target: an Azure resource's id in lower case, a repository, a URL. options: what else
    the kind needs, in the order in which it names it. secret: vault and name of the secret that signs or logs in there.
    part: what of the new version's value is written there, `WHOLE` or `PASSWORD`; None: nothing, as with most kinds.
    """

    kind: str
    target: str
    options: tuple[tuple[str, str], ...] = ()
    secret: tuple[str, str] | None = None
    part: str | None = None

    @property
    def name(self) -> str:
        """How histories and logs call it: the same as long as the policy names the same. Not secret."""
        return " ".join((self.kind, self.target, *(f"{key}={value}" for key, value in self.options)))

    def option(self, key: str) -> str:
        """The value of an option that the kind needs."""
        return dict(self.options)[key]


class Endpoints(Frozen):
    """Where Azure's planes are: these differ between clouds and are stand-ins on one machine. No trailing slash.

    github: of a GitHub Enterprise Server it is "https://HOST/api/v3".
    """

    arm: str = "https://management.azure.com"
    graph: str = "https://graph.microsoft.com"
    login: str = "https://login.microsoftonline.com"
    devops: str = "https://dev.azure.com"
    github: str = "https://api.github.com"
    logs: str = "https://api.loganalytics.io"
    postgres_scope: str = "https://ossrdbms-aad.database.windows.net/.default"
