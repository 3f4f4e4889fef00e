"""One tree of errors. Each is permanent or transient, and its message says what the reader can do.

Messages are written by us and hold no secret: foreign exception texts (a driver's, an SDK's) never get in. As a
second wall `Redactor.clean` scrubs every error that leaves the engine, in one place.
"""

from __future__ import annotations

import base64
import json
from urllib.parse import quote, quote_plus

from rotation.terms import SecretValue


class RotationError(Exception):
    """Anything that stops a rotation. `message` is one line: what is wrong, and the remedy."""

    transient = False
    code = "error"

    def __init__(self, message: str, *, field: str | None = None, retry_after_s: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field  # the tag, setting or parameter to mend, where there is one
        self.retry_after_s = retry_after_s


class Malformed(RotationError):
    """The request itself can't be understood (HTTP 400)."""

    code = "malformed"


class LengthRequired(Malformed):
    """A body came without its length, so that it can't be read (411)."""

    code = "length_required"


class Denied(RotationError):
    """The policy does not permit what the secret asks for; the message names the rule that is missing (403)."""

    code = "denied"


class NotFound(RotationError):
    """No such vault, secret or version (404)."""

    code = "not_found"


class Disabled(RotationError):
    """The version is disabled, so its value can't be read (422)."""

    code = "disabled"


class Stale(RotationError):
    """The wish names a version that is no longer the latest (409)."""

    code = "stale"


class Unusable(RotationError):
    """A tag or the value can't be used; `field` names the tag, or "value" (422)."""

    code = "unusable"


class Refused(RotationError):
    """The provider or the vault said no, and trying again will not help (502)."""

    code = "refused"


class Gone(Refused):
    """A refresh target that was to be asked to take a new version wants to be asked no more."""

    code = "gone"


class Rejected(Refused):
    """A login was refused: wrong password, wrong key. Try the next login."""

    code = "rejected"


class Unproven(Refused):
    """The value logs in nowhere, and nothing that it asks for was ever proven to be this secret's (502).

    So nothing changes. The message says both ways out: write the working value, or an operator's `adopt=reset`.
    """

    code = "unproven"


class BoundElsewhere(RotationError):
    """Another secret owns the credential and relies on it; the message names it and what ends that (409)."""

    code = "bound_elsewhere"


class Misconfigured(RotationError):
    """A setting or the policy file is wrong; the app does not start."""

    code = "misconfigured"


class NoAuditLog(RotationError):
    """No audit log is configured, so that nobody can say who reads a secret (501)."""

    code = "no_audit_log"


class HttpClosed(RotationError):
    """Nothing proves who calls over HTTP, so that nobody is served until a setting is mended (503)."""

    code = "http_closed"


class Unexpected(RotationError):
    """A fault of ours. Only the exception's type is shown, since a foreign text may hold a value (500)."""

    code = "unexpected"


class Transient(RotationError):
    """It may work later; the message goes back to the queue."""

    transient = True
    code = "transient"


class Busy(Transient):
    """Another run holds the secret's lease (409)."""

    code = "busy"


class Stopping(Transient):
    """This instance is being stopped, so that it begins nothing more; another one, or the next, does (503)."""

    code = "stopping"


class LeaseLost(Transient):
    """The lease ran out or was broken while we worked; nothing more may be written (503)."""

    code = "lease_lost"


class Unreachable(Transient):
    """No answer, or one that says "not now" (503)."""

    code = "unreachable"


class Throttled(Unreachable):
    """Too many calls; `retry_after_s` says when (503)."""

    code = "throttled"


class Conflict(Transient):
    """Somebody else writes the secret just now, or it is being deleted or recovered; nothing was written (503)."""

    code = "conflict"


class NotYet(Transient):
    """A new credential is not accepted everywhere yet: neither a rejection nor a success."""

    code = "not_yet"


class UnderWay(NotYet):
    """The provider makes the change, and is not through with it: from `apply` alone.

    mark: what tells the change's end from its beginning. It is recorded, and the next run gets it back as `Draft.mark`;
    so it is no value, and nobody can find one by it. begun: this run asked for the change, so it counts from now.
    """

    def __init__(
        self,
        message: str,
        *,
        field: str | None = None,
        retry_after_s: int | None = None,
        mark: str | None = None,
        begun: bool = False,
    ) -> None:
        super().__init__(message, field=field, retry_after_s=retry_after_s)
        self.mark = mark
        self.begun = begun


class MovedElsewhere(Transient):
    """Behind the name is another provider than the one that was proven; nothing was changed, and it is proven anew."""

    code = "moved_elsewhere"


class Overtaken(Transient):
    """Somebody else wrote a binding since it was read; nothing was written, and the run starts again."""

    code = "overtaken"


SHOWN = "[hidden]"
SHORTEST_SCRUBBED = 4  # shorter values would tear holes into ordinary words


class Redactor:
    """Knows the values of one run and removes them, in the usual encodings, from any text."""

    def __init__(self) -> None:
        self._needles: set[str] = set()

    def add(self, value: SecretValue | None) -> None:
        """Remember a value. Every value that a run reads or makes goes through here."""
        if value is None or len(value.reveal()) < SHORTEST_SCRUBBED:
            return
        text = value.reveal()
        raw = text.encode(errors="surrogatepass")  # whatever it is, it must not get out
        self._needles |= {
            text,
            quote(raw, safe=""),
            quote_plus(raw),
            json.dumps(text)[1:-1],
            base64.b64encode(raw).decode(),
            base64.urlsafe_b64encode(raw).decode(),
        }

    def scrub(self, text: str) -> str:
        """`text` without any known value."""
        for needle in sorted(self._needles, key=len, reverse=True):
            text = text.replace(needle, SHOWN)
        return text

    def clean(self, error: BaseException) -> RotationError:
        """An error that may leave the engine: ours with a scrubbed message, or `Unexpected` with the type alone.

        The result has no cause, no context and no traceback of the original, which could show a value.
        """
        if isinstance(error, RotationError):
            cleaned = type(error)(self.scrub(error.message), field=error.field, retry_after_s=error.retry_after_s)
        else:
            kind = f"{type(error).__module__}.{type(error).__qualname__}"
            cleaned = Unexpected(f"an unexpected {kind} stopped the run; please report it with the operation's id")
        return cleaned
