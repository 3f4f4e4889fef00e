"""What a login of the administrator says, for servers that are no databases."""

from __future__ import annotations

from rotation.errors import Refused
from rotation.formats import read
from rotation.model import Login, LoginSource, SecretValue


def administrator(login: Login, noun: str) -> tuple[str, SecretValue] | None:
    """User and password of an administrator; None: the login is no administrator's.

    Where its secret leads is not looked at: the login is tried where a rule permits.

    Raises:
        Refused: it names no user, or is a token, which the server does not take. Unusable: its secret can't be read.
    """
    if login.source is LoginSource.ADMIN_IDENTITY:
        raise Refused(
            f"a {noun} is changed by a login with a password, and not by this app's token: write the administrator's "
            'secret into the rule (admin = "secret:NAME")'
        )
    if login.source is not LoginSource.ADMIN_SECRET or login.value is None:
        return None
    form = read(login.value, None)
    user = form.user or login.user
    if user is None:
        raise Refused("the administrator's secret names no user: write admin-user = \"USER\" into the policy's rule")
    return user, form.password
