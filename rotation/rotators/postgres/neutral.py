"""What a role's, a database's or a server's own defaults must not decide over our statements.

`ALTER ROLE ... SET`, `ALTER DATABASE ... SET` and an administrator's own defaults hold in our sessions too. So each of
our messages begins with the settings that it needs, as `SET LOCAL`: one message is one transaction, and nothing of it
stays in a connection that a pooler hands to consumers afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

# The role that logged in, not the one that `ALTER ROLE ... SET role` made of it: that one may not change the password.
_WHO = "SET LOCAL ROLE NONE"
# Transaction by transaction: a read-only, deferrable, serializable one waits for those of others, and a standby has
# none. It comes before any query of the transaction.
_HOW = "SET TRANSACTION ISOLATION LEVEL READ COMMITTED, NOT DEFERRABLE"
TO_WRITE = "SET TRANSACTION READ WRITE"  # a reporting role may be read-only by default; a standby refuses this


@dataclass(frozen=True, slots=True)
class Setting:
    """since: the first version that knows it, as PQserverVersion counts."""

    name: str
    value: str
    why: str
    since: int = 0


SETTINGS = (
    Setting("search_path", "pg_catalog, pg_temp", "what it names first would be taken for the catalog's"),
    Setting("statement_timeout", "8s", "the server gives up before we do; a role's own may be a millisecond"),
    Setting("lock_timeout", "5s", "the same, for a change that waits for another"),
    Setting("transaction_timeout", "0", "a role's own may be shorter than a wait for a lock", since=170000),
    Setting("synchronous_commit", "on", "a change that a crash undoes would lock consumers out"),
    Setting("exit_on_error", "off", "a refused question would end the connection before the next one"),
    Setting("client_min_messages", "error", "nobody reads what else the server has to say"),
    Setting("standard_conforming_strings", "on", "a backslash in a text is a backslash"),
    Setting("jit", "off", "compiling a query that takes no time takes a second", since=110000),
)

# These would write the statement, with the verifier in it, into the server's log. They count before a message's own
# settings do: so they are set for the session, and before the change; not behind a pooler, where the next user of the
# connection would have them. Some only a superuser may set.
_QUIET = {"debug_print_parse": "off", "debug_print_rewritten": "off", "debug_print_plan": "off"}
_QUIET_BY_SUPERUSER = {"log_statement": "none", "log_min_duration_statement": "-1", "log_min_error_statement": "panic"}


def neutral(sql: str, server_version: int, *, to_write: bool = False) -> str:
    """One message: the settings, then `sql`, whose answer is the message's."""
    settings = [f"SET LOCAL {one.name} = {_written(one)}" for one in SETTINGS if server_version >= one.since]
    return "; ".join([_HOW, *([TO_WRITE] if to_write else []), _WHO, *settings, sql])


def quieted(backend_pid: int) -> str:
    """Don't let the statement into the server's log, as far as the role that is logged in may decide that."""
    here = f"pg_backend_pid() = {backend_pid:d}"
    superuser = "EXISTS (SELECT FROM pg_roles WHERE rolname = session_user AND rolsuper)"
    return f"SELECT {_set(_QUIET)} WHERE {here}; SELECT {_set(_QUIET_BY_SUPERUSER)} WHERE {here} AND {superuser}"


def _set(settings: Mapping[str, str]) -> str:
    return ", ".join(f"set_config('{name}', '{value}', false)" for name, value in settings.items())


def _written(setting: Setting) -> str:
    return setting.value if setting.name == "search_path" else f"'{setting.value}'"
