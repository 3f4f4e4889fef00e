"""Values that hold a key of an Azure resource: which are read, what becomes of them, and which are refused."""

import pytest

from rotation.errors import Unusable
from rotation.model import SecretValue
from rotation.rotators.azure.arm_value import ArmValue, read_value
from rotation.rotators.azure.rows import ROWS
from rotation.rotators.azure.two_keys import Key
from tests.contract.secrets_at_hand import make_spec

KEY = "q7Xw" * 10 + "abc="
NEW = Key(SecretValue("Zk3v" * 10 + "xyz="), None, "id-2")
RUNTIME = "IR@3c400518-8dce-479f-97f9-83d17c3d8c24@adf-a@ServiceEndpoint=adf-a.westeurope.datafactory.azure.net@" + KEY
BUS = "Endpoint=sb://orders.servicebus.windows.net/;SharedAccessKeyName=Sender;SharedAccessKey={key}"
REDIS = "orders.redis.cache.windows.net:6380,password={key},ssl=True,abortConnect=False"


def value_of(kind: str, text: str, *names: str, form: str | None = None) -> ArmValue:
    return read_value(SecretValue(text), make_spec(kind, form=form), ROWS[kind], names)


@pytest.mark.parametrize(
    ("kind", "template", "names"),
    [
        ("service-bus-key", "{key}", ("orders", "sender")),
        ("service-bus-key", BUS, ("orders", "sender")),
        ("service-bus-key", BUS + ";EntityPath=Inbox", ("orders", "inbox", "sender")),
        (
            "service-bus-key",
            "endpoint = SB://ORDERS.servicebus.windows.net ; " + BUS.split(";", 1)[1],
            ("orders", "sender"),
        ),
        ("event-hubs-key", BUS + ";EntityPath=any;TransportType=AmqpWebSockets", ("orders", "sender")),
        ("relay-key", BUS.replace("windows.net", "usgovcloudapi.net"), ("orders", "sender")),
        ("cosmos-key", "AccountEndpoint=https://orders.documents.azure.com:443/;AccountKey={key};", ("orders",)),
        ("cosmos-read-only-key", "AccountKey={key};AccountEndpoint=https://orders.documents.azure.cn", ("orders",)),
        ("signalr-key", "Endpoint=https://orders.service.signalr.net;AccessKey={key};Version=1.0;", ("orders",)),
        ("web-pubsub-key", "Endpoint=https://orders.webpubsub.azure.com;AccessKey={key};Version=1.0;", ("orders",)),
        ("communication-key", "endpoint=https://orders.europe.communication.azure.com/;accesskey={key}", ("orders",)),
        ("redis-key", REDIS, ("orders",)),
    ],
)
def test_only_the_key_is_written_anew(kind: str, template: str, names: tuple[str, ...]) -> None:
    read = value_of(kind, template.format(key=KEY), *names)
    assert read.key.reveal() == KEY
    assert read.with_key(NEW).reveal() == template.format(key=NEW.value.reveal())
    assert KEY not in repr(read)


def test_a_key_with_an_id_is_written_with_it() -> None:
    template = "Endpoint=https://orders.azconfig.io;Id={id};Secret={key}"
    read = value_of("app-configuration-key", template.format(id="id-1", key=KEY), "orders")
    assert (read.id, read.key.reveal()) == ("id-1", KEY)
    assert read.with_key(NEW).reveal() == template.format(id="id-2", key=NEW.value.reveal())
    assert read.holds(Key(SecretValue(KEY), None, "id-1"))
    assert not read.holds(Key(SecretValue(KEY), None, "id-2"))


def test_a_runtimes_key_is_one_although_it_names_its_endpoint() -> None:
    assert value_of("data-factory-runtime-key", RUNTIME, "adf-a", "ir").with_key(NEW) == NEW.value


@pytest.mark.parametrize(
    ("kind", "text", "words"),
    [
        ("service-bus-key", BUS.format(key=KEY).replace("orders.", "orders.evil."), "carry the key elsewhere"),
        ("service-bus-key", BUS.format(key=KEY).replace("//orders", "//other"), "carry the key elsewhere"),
        ("service-bus-key", BUS.format(key=KEY).replace("//orders", "//orders@evil.example/"), "carry the key"),
        ("service-bus-key", BUS.format(key=KEY).replace("windows.net", "windows.net.evil.example"), "carry the key"),
        ("service-bus-key", BUS.format(key=KEY).replace("sb://", "http://"), "carry the key elsewhere"),
        ("service-bus-key", BUS.format(key=KEY).replace("=Sender", "=Root"), "SharedAccessKeyName is not that"),
        ("service-bus-key", BUS.format(key=KEY).replace("SharedAccessKeyName=Sender;", ""), "SharedAccessKeyName"),
        ("service-bus-key", BUS.format(key=KEY) + ";Endpoint=sb://evil.example", "twice"),
        ("service-bus-key", BUS.format(key=KEY) + ";StsEndpoint=https://evil.example", "'stsendpoint'"),
        ("service-bus-key", BUS.format(key="short"), "is no key"),
        ("service-bus-key", "Endpoint=sb://orders.servicebus.windows.net/;SharedAccessSignature=" + KEY, "not what"),
        ("service-bus-key", '{"key": "' + KEY + '"}', "not what service-bus-key can change"),
        ("service-bus-key", f"https://orders.servicebus.windows.net/?{KEY}", "not what"),
        ("service-bus-key", f"{KEY}\n", "not what"),
        ("service-bus-key", BUS.format(key=KEY) + "\u00a0", "not what"),
        (
            "cosmos-key",
            f"AccountEndpoint=https://other.documents.azure.com;AccountKey={KEY}",
            "carry the key elsewhere",
        ),
        ("redis-key", REDIS.format(key=KEY).replace(":6380", ":6379"), "carry the key elsewhere"),
        ("redis-key", REDIS.format(key=KEY) + ",sslHost=evil.example", "'sslhost'"),
        ("redis-key", "evil.example:6380," + REDIS.format(key=KEY), "twice"),
        ("redis-key", REDIS.format(key=KEY).partition(",")[2], "carry the key elsewhere"),
        ("app-configuration-key", KEY, "write Endpoint=https://HOST;Id=…;Secret=KEY"),
        ("app-configuration-key", f"Endpoint=https://orders.azconfig.io;Secret={KEY}", "Id is not that"),
        ("data-factory-runtime-key", RUNTIME.replace("IR@", "XX@"), "write a key alone"),
    ],
)
def test_what_is_not_the_resources_own_is_refused(kind: str, text: str, words: str) -> None:
    with pytest.raises(Unusable, match=words) as refused:
        value_of(kind, text, "orders", "sender")
    assert refused.value.field == "value"
    assert KEY not in refused.value.message


def test_the_entity_of_a_policy_is_the_one_in_its_id() -> None:
    with pytest.raises(Unusable, match="EntityPath is not that"):
        value_of("service-bus-key", BUS.format(key=KEY) + ";EntityPath=other", "orders", "inbox", "sender")


def test_a_format_that_says_something_else_is_refused() -> None:
    with pytest.raises(Unusable) as refused:
        value_of("service-bus-key", KEY, "orders", "sender", form="uri")
    assert refused.value.field == "format"
    with pytest.raises(Unusable, match="not what"):
        value_of("service-bus-key", BUS.format(key=KEY), "orders", "sender", form="plain")
