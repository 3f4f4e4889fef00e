"""The trials: how a secret can be made to point elsewhere. Each is a secret that somebody with "set secret" wrote."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import quote

from rotation.rotators import HOST, ROTATORS
from rotation.rotators.azure.rows import ROWS
from tests.proof.deputies.listeners import ABSTRACT

ROLE, OTHER = "orders_app", "orders_b"
SUBSCRIPTION = "/subscriptions/11111111-2222-3333-4444-555555555555"
GROUP = f"{SUBSCRIPTION}/resourceGroups/rg-orders"
ACCOUNT = f"{GROUP}/providers/Microsoft.Storage/storageAccounts/stordersprod"
APPLICATION = "aaaaaaaa-2222-3333-4444-555555555555"
KEY = "A" * 86 + "=="
CLIENT_SECRET = "abC8Q~" + "x" * 34
SERVERS = tuple(name for name, kind in ROTATORS.items() if HOST in kind.targets)
NAMES = ("ktdemo1", "orders", "sender")  # of resources with two keys, the outermost first
ROW_KEY = "A" * 43 + "="
ROW_VALUES = {  # of rows whose value is no key of the usual sort alone
    "app-configuration-key": f"Endpoint=https://ktdemo1.azconfig.io;Id=abcd;Secret={ROW_KEY}",
    "app-configuration-read-only-key": f"Endpoint=https://ktdemo1.azconfig.io;Id=abcd;Secret={ROW_KEY}",
    "data-factory-runtime-key": f"IR@{APPLICATION}@ktdemo1@ServiceEndpoint=ktdemo1.datafactory.azure.net@{ROW_KEY}",
}
ROW_STRINGS = {  # host and policy are the resource's own
    "service-bus-key": f"Endpoint=sb://ktdemo1.servicebus.windows.net/;SharedAccessKeyName=orders;SharedAccessKey={ROW_KEY}",
    "cosmos-key": f"AccountEndpoint=https://ktdemo1.documents.azure.com:443/;AccountKey={ROW_KEY};",
    "signalr-key": f"Endpoint=https://ktdemo1.service.signalr.net;AccessKey={ROW_KEY};Version=1.0;",
    "redis-key": f"ktdemo1.redis.cache.windows.net:6380,password={ROW_KEY},ssl=True,abortConnect=False",
    "app-configuration-key": ROW_VALUES["app-configuration-key"],
}


@dataclass(frozen=True, slots=True)
class Trial:
    """name: what is pointed where. rotator: of the tag. older: values of versions before, which nobody asked about."""

    name: str
    rotator: str
    value: str = field(repr=False)
    tags: Mapping[str, str]
    older: tuple[str, ...] = field(default=(), repr=False)


def policy(permitted: int, admin: str = "") -> str:
    """What the app's owner permits: one server, two roles; one account; one application; keys that are made here."""
    return f"""
[[rule]]
vaults = ["kv"]
secrets = ["*", "!pg-admin"]
rotators = {json.dumps(SERVERS)}
targets = ["127.0.0.1:{permitted}"]
slots = ["{ROLE}", "{OTHER}"]
tls = "disable"
{admin}
[[rule]]
vaults = ["kv"]
secrets = ["*", "!pg-admin"]
rotators = ["storage-key"]
targets = ["{ACCOUNT}"]
[[rule]]
vaults = ["kv"]
secrets = ["*", "!pg-admin"]
rotators = ["entra-app-secret"]
targets = ["{APPLICATION}"]
[[rule]]
vaults = ["kv"]
secrets = ["*", "!pg-admin"]
rotators = ["generated", "jwks"]
{"".join(map(_row_rule, ROWS))}"""


def _row_rule(rotator: str) -> str:
    return f"""[[rule]]
vaults = ["kv"]
secrets = ["*", "!pg-admin"]
rotators = ["{rotator}"]
targets = ["{row_resource(rotator)}"]
"""


def row_resource(rotator: str) -> str:
    """The one resource of this kind that the policy permits."""
    provider, *types = next(iter(ROWS[rotator].types)).split("/")
    return f"{GROUP}/providers/{provider}" + "".join(f"/{one}/{name}" for one, name in zip(types, NAMES, strict=False))


def tags_of(rotator: str, **more: str) -> dict[str, str]:
    turns = {"slots": f"{ROLE},{OTHER}"} if rotator.endswith("-alternating") else {}
    return {"rotator": rotator, **turns, **more}


def good(rotator: str, permitted: int) -> Trial:
    """What the policy permits, so that it is connected to."""
    values = {
        "storage-key": (KEY, {"target": ACCOUNT, "slot": "key1"}),
        "entra-app-secret": (CLIENT_SECRET, {"target": APPLICATION}),
    }
    if rotator in ROWS:
        values[rotator] = (ROW_VALUES.get(rotator, ROW_KEY), {"target": row_resource(rotator)})
    value, more = values.get(rotator, (f"postgresql://{ROLE}:pw@127.0.0.1:{permitted}/orders", {}))
    return of_its_own(Trial("what is permitted", rotator, value, tags_of(rotator, **more)), permitted)


SCHEMES = {"mysql": "mysql://", "redis": "redis://", "rabbitmq": "amqp://"}


def of_its_own(trial: Trial, permitted: int) -> Trial:
    """In the forms of its server, whose URLs differ from PostgreSQL's by their schemes, with the tags that it needs."""
    scheme = SCHEMES.get(trial.rotator.partition("-")[0])
    if scheme is None or trial.rotator not in SERVERS:
        return trial
    tags = dict(trial.tags)
    if scheme == "amqp://" and not any(tag.strip().lower() in {"target", "provideraddress"} for tag in tags):
        tags["target"] = f"127.0.0.1:{permitted}"
    value = trial.value.replace("postgresql://", scheme)
    if scheme == "redis://":
        value = re.sub(r"/orders(?=$|\?)", "/0", value)  # a database there is a number
    return replace(trial, value=value, tags=tags)


def denied(permitted: int, evil: int, folder: str) -> Iterator[Trial]:
    """Nothing may be connected to, not even what is permitted."""
    yield from (of_its_own(trial, permitted) for trial in _denied(permitted, evil, folder))


def _denied(permitted: int, evil: int, folder: str) -> Iterator[Trial]:
    for rotator in SERVERS:
        for place, port in elsewhere(permitted, evil, folder):
            yield from led_by_value(rotator, place, port, permitted)
            yield from led_by_tag(rotator, f"{place}:{port}", permitted)
        for place in (folder, f"{folder}:{evil}", f"@{ABSTRACT}", f"\0{ABSTRACT}", "/subscriptions/../..", GROUP):
            yield from led_by_tag(rotator, place, permitted)
        yield from led_astray_by_options(rotator, permitted, evil, folder)
        yield from other_roles(rotator, permitted)
        yield from flexible_servers(rotator, permitted)
    yield from other_accounts()
    for rotator in ROWS:
        yield from other_resources(rotator)
    yield from other_applications()
    yield from unknown_rotators(permitted)


def elsewhere(permitted: int, evil: int, folder: str) -> Iterator[tuple[str, int]]:
    """Spellings of hosts and ports at which a canary listens, or that no rule names."""
    loopback = ("127.0.0.1", "localhost", "LOCALHOST", "[::1]", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "0.0.0.0")  # noqa: S104  a spelling
    odd = ("127.1", "2130706433", "0x7f000001", "0177.0.0.1", "localhost.", "127.0.0.1.", "ip6-localhost", "[::1%25lo]")
    for host in (*loopback, *odd):
        yield host, evil
    for host in (
        "127.0.0.2",
        "localhost",
        "127.0.0.1.nip.io",
        "evil.example",
        "127.0.0.1@evil.example",
        "\uff1127.0.0.1",
    ):
        yield host, permitted
    for host in (folder, quote(folder, safe=""), f"@{ABSTRACT}", f"127.0.0.1:{permitted},127.0.0.1"):
        yield host, evil


def led_by_value(rotator: str, host: str, port: int, permitted: int) -> Iterator[Trial]:
    """The host in each form that a value may have, alone and beside the one that is permitted."""
    tags = tags_of(rotator)
    good_host, pair = f"127.0.0.1:{permitted}", f"{host}:{port}"
    values = {
        "URI": f"postgresql://{ROLE}:pw@{pair}/orders",
        "second host of a URI": f"postgresql://{ROLE}:pw@{good_host},{pair}/orders",
        "query of a URI": f"postgresql://{ROLE}:pw@{good_host}/orders?host={quote(host, safe='')}&port={port}",
        "key=value": f"host='{host}' port={port} user={ROLE} password=pw dbname=orders",
        "second host in key=value": f"host='127.0.0.1,{host}' port={permitted},{port} user={ROLE} password=pw",
        "key=value said twice": f"host=127.0.0.1 port={permitted} user={ROLE} password=pw host='{host}' port={port}",
        "ADO.NET": f"Host={host};Port={port};Username={ROLE};Password=pw;Database=orders",
        "second host in ADO.NET": f"Host={good_host},{pair};Username={ROLE};Password=pw",
        "JDBC": f"jdbc:postgresql://{pair}/orders?user={ROLE}&password=pw",
        "second host in JDBC": f"jdbc:postgresql://{good_host},{pair}/orders?user={ROLE}&password=pw",
        "JSON": json.dumps({"host": host, "port": port, "username": ROLE, "password": "pw"}),
        "JSON with a permitted target": json.dumps({"host": host, "port": port, "username": ROLE, "password": "pw"}),
    }
    for form, value in values.items():
        if host.startswith("/") and form in {"second host of a URI", "second host in JDBC"}:
            continue  # there the slash ends the hosts, and the rest names a database
        more = {"target": good_host} if form.endswith("target") else {}
        yield Trial(f"{form} names {pair!a}", rotator, value, {**tags, **more})


def led_by_tag(rotator: str, target: str, permitted: int) -> Iterator[Trial]:
    """The tag, by our name and by that of Microsoft's samples, beside a value that is permitted or names no host."""
    values = (f"postgresql://{ROLE}:pw@127.0.0.1:{permitted}/orders", f"user={ROLE} password=pw")
    for tag in ("target", "ProviderAddress", "Target "):
        for value in values:
            yield Trial(f"the tag {tag} names {target!a}", rotator, value, tags_of(rotator, **{tag: target}))


def led_astray_by_options(rotator: str, permitted: int, evil: int, folder: str) -> Iterator[Trial]:
    """What libpq, Npgsql and JDBC drivers know that leads elsewhere, beside the host that is permitted."""
    options = {
        "hostaddr": "127.0.0.2",
        "service": "evil",
        "servicefile": f"{folder}/service",
        "passfile": f"{folder}/pass",
        "socketFactory": "evil.Factory",
        "authenticationPluginClassName": "evil.Plugin",
        "requirepeer": "root",
    }
    host = f"127.0.0.1:{permitted}"
    for option, said in options.items():
        values = (
            f"postgresql://{ROLE}:pw@{host}/orders?{option}={quote(said, safe='')}",
            f"host=127.0.0.1 port={permitted} user={ROLE} password=pw {option}={said}",
            f"Host={host};Username={ROLE};Password=pw;{option}={said}",
            f"jdbc:postgresql://{host}/orders?user={ROLE}&password=pw&{option}={quote(said, safe='')}",
        )
        for value in values:
            yield Trial(f"the option {option} in {value.partition('=')[0]!a}", rotator, value, tags_of(rotator))
    yield Trial("a port alone", rotator, f"postgresql://{ROLE}:pw@127.0.0.1:{evil}/orders", tags_of(rotator))


def other_roles(rotator: str, permitted: int) -> Iterator[Trial]:
    """Roles that no rule names, at the server that one does."""
    roles = (
        "postgres",
        "keyturn",
        "azure_pg_admin",
        ROLE.upper(),
        f"{ROLE} ",
        f" {ROLE}",
        f"{ROLE}x",
        "\u043erders_app",
    )
    for role in (*roles, f'{ROLE}"', f"{ROLE};DROP ROLE x", f"{ROLE},{OTHER}", "*", "rds_superuser"):
        value = f"postgresql://{quote(role, safe='')}:pw@127.0.0.1:{permitted}/orders"
        yield Trial(f"the value names the role {role!a}", rotator, value, tags_of(rotator))
        if rotator.endswith("-alternating"):
            usual = f"postgresql://{ROLE}:pw@127.0.0.1:{permitted}/orders"
            yield Trial(f"the tag names {role!a}", rotator, usual, {"rotator": rotator, "slots": f"{ROLE},x{role}"})


def flexible_servers(rotator: str, permitted: int) -> Iterator[Trial]:
    """Azure's ids of servers that no rule names."""
    tail = "providers/Microsoft.DBforPostgreSQL/flexibleServers"
    value = f"postgresql://{ROLE}:pw@127.0.0.1:{permitted}/orders"
    for server in (
        f"{GROUP}/{tail}/orders-prod",
        f"{SUBSCRIPTION}/resourceGroups/rg-evil/{tail}/evil",
        f"{GROUP}/{tail}/../../../rg-evil/{tail}/evil",
        f"https://evil.example{GROUP}/{tail}/evil",
        f"//evil.example{GROUP}/{tail}/evil",
    ):
        yield Trial(f"the tag names the server {server!a}", rotator, value, tags_of(rotator, target=server))


def other_accounts() -> Iterator[Trial]:
    """Storage accounts that no rule names, and values of another account than the tag's."""
    name = ACCOUNT.rpartition("/")[2]
    accounts = (
        ACCOUNT + "2", ACCOUNT + "/", ACCOUNT + "/../evil", ACCOUNT + "?x=1", ACCOUNT + "#x", ACCOUNT + "%2f..%2fevil",
        ACCOUNT + "/blobServices/default", ACCOUNT.replace("rg-orders", "rg-evil"), ACCOUNT.replace("1111", "9999"),
        ACCOUNT.replace("/rg-orders", "/rg-orders/../rg-evil"), ACCOUNT.replace("Storage/", "KeyVault/"),
        ACCOUNT.replace("storageAccounts", "\u017ftorageAccounts"), "/" + ACCOUNT, "https://evil.example" + ACCOUNT,
        "@evil.example" + ACCOUNT, name, f"{name}.blob.core.windows.net", "127.0.0.1:5432", APPLICATION, GROUP,
        GROUP + "/*", ACCOUNT + "\n", ACCOUNT.replace(name, "keyturnledger"), ACCOUNT.replace(name, "*"),
    )  # fmt: skip
    for account in accounts:
        for tag in ("target", "ProviderAddress"):
            tags = {"rotator": "storage-key", tag: account, "slot": "key1"}
            if account.strip() != ACCOUNT:  # tags are stripped, as the samples' are
                yield Trial(f"the tag {tag} names {account!a}", "storage-key", KEY, tags)
    value = f"DefaultEndpointsProtocol=https;AccountName=evil;AccountKey={KEY};EndpointSuffix=core.windows.net"
    yield Trial("the value is another account's", "storage-key", value, tags_of("storage-key", target=ACCOUNT))
    for slots in ("key1,key3", "key1", "../key2,key1", "kerb1,kerb2"):
        tags = {"rotator": "storage-key", "target": ACCOUNT, "slots": slots}
        yield Trial(f"the tag slots is {slots!a}", "storage-key", KEY, tags)


def other_resources(rotator: str) -> Iterator[Trial]:
    """Resources of a row that no rule names, and values that lead to another one's host."""
    own, value = row_resource(rotator), ROW_VALUES.get(rotator, ROW_KEY)
    first, last = NAMES[0], own.rpartition("/")[2]
    others = (
        own + "2", own + "/", own + "/../evil", own + "?x=1", own + "#x", own + "%2f..%2fevil", own + "/keys/key1",
        own.replace(first, "evil"), own.replace("rg-orders", "rg-evil"), own.replace("1111", "9999"),
        own.replace("/rg-orders", "/rg-orders/../rg-evil"), own.replace("/providers/", "/providers/Microsoft.X/"),
        "/" + own, "https://evil.example" + own, "@evil.example" + own, last, ACCOUNT, APPLICATION, GROUP, GROUP + "/*",
        own.removesuffix(last) + "*", own.removesuffix(last) + "evil",
    )  # fmt: skip
    for resource in others:
        yield Trial(f"the tag target names {resource!a}", rotator, value, tags_of(rotator, target=resource))
    for slots in ("key1,key3", "../secondary,primary", "Primary,evil"):
        yield Trial(f"the tag slots is {slots!a}", rotator, value, tags_of(rotator, target=own, slots=slots))
    if rotator in ROW_STRINGS:
        string = ROW_STRINGS[rotator]
        more = ",X=Y" if rotator == "redis-key" else ";X=Y"
        for evil in (string.replace(first, "evil"), string.replace(first, f"{first}.evil.example/"), string + more):
            yield Trial(
                f"the value is {evil.partition('=')[0]!a} of another", rotator, evil, tags_of(rotator, target=own)
            )


def other_applications() -> Iterator[Trial]:
    """Applications that no rule names."""
    applications = (
        APPLICATION.replace("aaaa", "bbbb"), APPLICATION + "/owners", APPLICATION + "?x", f"{{{APPLICATION}}}",
        f"../servicePrincipals/{APPLICATION}", f"(appId='{APPLICATION}')", "https://evil.example/" + APPLICATION,
        APPLICATION + "@evil.example", APPLICATION + "/../" + APPLICATION.replace("a", "b"), ACCOUNT, "me", "*",
        "127.0.0.1:5432", APPLICATION.replace("a", "\u0430"),
    )  # fmt: skip
    for application in applications:
        for tag in ("target", "ProviderAddress"):
            tags = {"rotator": "entra-app-secret", tag: application}
            yield Trial(f"the tag {tag} names {application!a}", "entra-app-secret", CLIENT_SECRET, tags)


def unknown_rotators(permitted: int) -> Iterator[Trial]:
    """Rotators that are none, and ones whose rules do not fit what is asked."""
    value = f"postgresql://{ROLE}:pw@127.0.0.1:{permitted}/orders"
    for rotator in (
        "Postgres",
        "postgres;",
        "oracle",
        "os",
        "rotation.rotators.databases.in_place",
        "../postgres",
        "*",
    ):
        yield Trial(f"the tag rotator is {rotator!a}", rotator, value, {"rotator": rotator})
    for rotator in ("storage-key", "entra-app-secret"):
        target = {"target": f"127.0.0.1:{permitted}"}
        yield Trial(f"a database's target for {rotator}", rotator, value, tags_of(rotator, **target))


def planted(permitted: int, evil: int, folder: str) -> Iterator[Trial]:
    """The latest is what the policy permits, and refused: the older versions that are tried next point elsewhere."""
    for rotator in SERVERS:
        usual = good(rotator, permitted)
        for host, port in elsewhere(permitted, evil, folder):
            older = tuple(one.value for one in led_by_value(rotator, host, port, permitted))
            yield Trial(f"older versions name {host!a}:{port}", rotator, usual.value, usual.tags, older)
        others = tuple(one.value for one in other_roles(rotator, permitted))
        yield Trial("older versions name other roles", rotator, usual.value, usual.tags, others)
    endpoints = f"DefaultEndpointsProtocol=http;AccountName=stordersprod;AccountKey={KEY};"
    for endpoint in ("BlobEndpoint", "QueueEndpoint", "FileEndpoint", "TableEndpoint"):
        value = f"{endpoints}{endpoint}=http://127.0.0.2:{evil}/"
        tags = {"rotator": "storage-key", "target": ACCOUNT, "slot": "key1"}
        yield Trial(f"the value's {endpoint} leads elsewhere", "storage-key", value, tags)
    for target in (f"127.0.0.1:{evil}", f"http://127.0.0.1:{evil}/", folder):
        tags = {"rotator": "generated", "target": target}
        yield Trial(f"a generated key's target names {target!a}", "generated", "k" * 40, tags)
