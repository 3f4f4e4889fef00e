"""What Npgsql knows besides host, port, database, user and password, in lower case: its list is closed.

Source: NpgsqlConnectionStringBuilder.cs, 8.0 to 10.0: each by its display name, its property's name and its synonyms.
"""

from __future__ import annotations

_DISPLAYED = (
    "application name", "enlist", "search path", "client encoding", "encoding", "timezone", "ssl mode",
    "ssl negotiation", "ssl certificate", "ssl key", "ssl password", "root certificate", "check certificate revocation",
    "channel binding", "persist security info", "log parameters", "include error detail", "kerberos service name",
    "include realm", "require auth", "trust server certificate", "gss encryption mode", "pooling", "minimum pool size",
    "maximum pool size", "connection idle lifetime", "connection pruning interval", "connection lifetime", "timeout",
    "command timeout", "internal command timeout", "cancellation timeout", "target session attributes",
    "load balance hosts", "host recheck seconds", "keepalive", "tcp keepalive", "tcp keepalive time",
    "tcp keepalive interval", "read buffer size", "write buffer size", "socket receive buffer size",
    "socket send buffer size", "max auto prepare", "auto prepare min usages", "no reset on close", "options",
    "array nullability mode", "load table composites", "replication mode", "multiplexing",
    "write coalescing buffer threshold bytes", "server compatibility mode", "passfile",
)  # fmt: skip
_OTHER_NAMES = ("minpoolsize", "maxpoolsize", "load balance timeout", "connectionlifetime", "internalcommandtimeout")

KEYWORDS = frozenset({*_DISPLAYED, *(name.replace(" ", "") for name in _DISPLAYED), *_OTHER_NAMES})
