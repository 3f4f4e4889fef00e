"""StackExchange.Redis' configuration strings, such as cache.example:6380,user=app,password=…,ssl=True.

Source: StackExchange.Redis, "Configuration", and ConfigurationOptions.cs (DoParse): parts are separated by commas and
cut of their blanks, and there are no quotes; keywords are case-insensitive, the last of one counts, and a keyword that
the driver does not know makes it refuse the string. What has no = is a server.
"""

from __future__ import annotations

from rotation.formats.hosts import written_hosts
from rotation.formats.parts import Parts, check_count
from rotation.formats.value import Host, NotUnderstood, Value, has_control, has_odd_blank

PORT, TLS_PORT = 6379, 6380  # "Default port" in the driver's documentation; the second where ssl=true
_LOGIN = frozenset({"user", "password"})
# `proxy` and `tunnel` lead elsewhere, `serviceName` to whom sentinels name.
_KNOWN = frozenset(
    {
        "abortconnect", "allowadmin", "asynctimeout", "channelprefix", "checkcertificaterevocation",
        "configcheckseconds", "configchannel", "connectretry", "connecttimeout", "defaultdatabase",
        "heartbeatconsistencychecks", "heartbeatinterval", "highintegrity", "keepalive", "name", "protocol",
        "resolvedns", "responsetimeout", "setlib", "ssl", "sslhost", "sslprotocols", "synctimeout", "tiebreaker",
        "version", "writebuffer",
    }
)  # fmt: skip


def read(text: str, *, alone: bool = True) -> Value:
    """Read a configuration string. alone: it has to have a password itself.

    Raises:
        Unusable: it is none, it has no server or no password, or the driver would refuse it or go elsewhere.
    """
    if has_control(text) or has_odd_blank(text):
        raise NotUnderstood("the configuration string has a line break or a blank that is not ASCII in it: take it out")
    parts, servers = Parts(), []
    position = 0
    for number, part in enumerate(text.split(",")):
        check_count(number, "parts")
        start, position = position, position + len(part) + 1
        keyword, equals, value = part.partition("=")
        if not equals:
            servers += _server(part.strip(), parts)
            continue
        _read_pair(keyword.strip().lower(), value, start + len(keyword) + 1, parts)
    if alone and not parts.found.get("password"):
        raise NotUnderstood("the configuration string has no password= among its parts")
    if not servers:
        raise NotUnderstood("the configuration string names no server")
    port = TLS_PORT if parts.options.get("ssl", "").lower() == "true" else PORT
    hosts = tuple(Host(host.name, host.port or port) for host in written_hosts(",".join(servers)))
    return parts.value("stackexchange-redis", text, hosts, None, user_is_database=False)


def _server(part: str, before: Parts) -> list[str]:
    if part and (before.found or before.options):
        raise NotUnderstood(
            "the configuration string has a part without = behind its keywords: write all servers first. A password "
            "can't have a comma in it"
        )
    return [part] if part else []


def _read_pair(keyword: str, written: str, start: int, parts: Parts) -> None:
    value = written.strip()
    if keyword in _LOGIN:
        if not value:
            raise NotUnderstood(f"the value's {keyword} is empty: write it, or take it out")
        begin = start + len(written) - len(written.lstrip())
        parts.place(keyword, value, begin, begin + len(value), _as_it_is)
    elif keyword in _KNOWN:
        parts.option(keyword, value)
    else:
        raise NotUnderstood(
            "the configuration string has a keyword that leads elsewhere than its servers, or that StackExchange.Redis "
            "does not know: take it out"
        )


def _as_it_is(text: str) -> str:
    """There is nothing to escape with; a comma or a blank at an end is found when the value is read back."""
    return text
