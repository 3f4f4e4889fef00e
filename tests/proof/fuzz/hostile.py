r"""Values that somebody made to keep the app busy, or to have it say what it read.

A beginning of each form of values, then as many repetitions of one thing as a vault takes, then an end.

A value's number, with a seed, is all that it takes to make it again, and its twin: the same form with other words.
"""

from __future__ import annotations

import base64
import json
import random
import string
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from local.resources import GROUP
from rotation.formats import FORMATS
from rotation.rotators.generated import FORMS
from tests.proof.fuzz import inputs

MAX_BYTES = 25_600  # what a vault holds
OF_EACH_PAIR = 9  # values of a beginning and a repetition
AS_LONG_AS_CAN_BE = 4  # of these; what is not linear shows there
SHORT_BYTES = 400  # of a twin that is tried first

# In what follows "§" is a word that nobody can guess, "£" a storage account's key, and "¤" a number that grows.
_STORAGE = "DefaultEndpointsProtocol=https;AccountName=storders;AccountKey=£;"
BEGINNINGS = (
    "", "§", "\ufeff", "\ufeffpostgresql://§:§@§/§?", " ", "§ ", "§=", "=",
    # URIs
    "postgresql://", "postgresql://§:§@", "postgresql://§:§@§/§?", "postgresql://§:§@§/§?§=", "postgresql://§:",
    "postgresql://§:§@§:", "postgresql://[", "postgres://§@", "POSTGRES://§:§@§/§?sslmode=§&", "postgresql://§:§@§/",
    f"postgresql://app:§@{inputs.HOST}/§?options=", "postgresql+psycopg://§:§@", "postgresql+asyncpg://§:§@§/§?",
    "mysql://§:§@§/", "redis://:§@§,", "https://§:§@§/?", "amqp://§:§@",
    "redis://§:§@", "rediss://§:§@§/§?", "§,password=", "§:6380,user=§,password=§,ssl=True,", "amqps://§:§@§/§?",
    # libpq's, Npgsql's, ODBC's
    "host=", "host=§ user=§ password=", "host=§ user=§ password='", "host=§ port=", "host = § user = § password = § ",
    f"host={inputs.HOST} user=app password=§ options='", "Host=", "Host=§;Port=", "Host=§;Username=§;Password=§;",
    'Host=§;Username=§;Password="', f"Host={inputs.HOST};Username=app;Password=§;", "Server=§;User Id=§;Password=§;",
    "Data Source=tcp:§,1433;Password=§;", "Driver={", "Driver={PostgreSQL Unicode};Server=§;Uid=§;Pwd={",
    "Driver={PostgreSQL Unicode};Server=§;Uid=§;Pwd=§;", "DSN=§;",
    # JDBC
    "jdbc:postgresql://", "jdbc:postgresql://§/§?user=§&password=", "jdbc:postgresql://§:", "jdbc:sqlserver://§;",
    f"jdbc:postgresql://{inputs.HOST}/§?user=app&password=§&",
    # JSON
    "{", "[", '"', '{"§":', '{"password":"', '{"password":"§",', '{"username":"§","password":"§","host":"§","port":',
    '{"username":"§","password":"§","§":"', '{"password":"§","url":"postgresql://§:§@§/', '{"password":"§","pgpass":"',
    '{"password":"§","connectionString":"Host=§;Password=§;', '{"password":"§","passwordEncoded":"',
    '{"AZURE_CLIENT_ID":"§","AZURE_CLIENT_SECRET":"', '{"accountName":"storders","accountKey":"',
    # lines of files
    "DATABASE_URL=", "export DATABASE_URL='", "DATABASE_URL=postgresql://§:§@§/§\n", "§=§\n",
    "spring.datasource.url=jdbc:postgresql://§/§\nspring.datasource.password=", "<add name='§' value='",
    # Azure's
    "AccountName=", "AccountName=§;AccountKey=", _STORAGE, f"{_STORAGE}EndpointSuffix=",
    f"{_STORAGE}BlobEndpoint=https://",
    "BlobEndpoint=https://§.blob.core.windows.net/;SharedAccessSignature=sv=§&sig=", "?sv=§&sig=", "sv=§&ss=b&sig=§&",
    "Endpoint=sb://§/;SharedAccessKeyName=§;SharedAccessKey=", "AccountEndpoint=https://§/;AccountKey=",
    # keys and tokens
    "-----BEGIN PRIVATE KEY-----\n", "Bearer ", "eyJ§.", "$2b$12$",
)  # fmt: skip
REPETITIONS = (
    # blanks, and what can't be seen
    " ", "\t", "\n", "\r\n", "\v", "\x1c", "\0", "\x7f", "\x1b[31m", "\u00a0", "\u2003", "\u3000", "\u200b", "\ufeff",
    "\u202e", "\u0301", "e\u0301", "\u0130", "\u00e9", "\U0001f600", "\ud800", "\udfff\ud800",
    # marks
    "=", "==", " = ", "= ", "x=", "=x", "=tcp", ";", "; ", ";=", ";;=", "x;=a", "x;==", ",", "&", "?", "#", "@", ":",
    ":@", "/", "//", "../", "://", ".", "a.", "-", "_", "+", "*", "$", "~", "|", "`", "<", "<a>", "(", ")",
    # quotes, braces and escapes
    '"', '""', '\\"', "'", "''", "\\", "\\\\", "\\'", "\\:", "\\u0041", "\\ud800", "{", "}", "}}", "{{", '{"a":',
    '{"§":[', "[", "]", "[]", '["', "${§}", "%", "%%", "%2", "%25", "%2525", "%zz", "%00", "%ED%A0%80", "%41",
    # pairs, once and by the thousand
    "a=b;", "a=b ", "a=b&", "§¤=a;", "§¤=a ", "§¤=a&", "§¤ = '§' ", '§¤="a";', "§¤={a};", "§¤=a\n", "§¤: a\n",
    '"§¤":"a",', '"a":"b",', '"§¤":{"§":"a"},', '"§¤":"Host=h;Password=§",', '"§¤":1,', '"password":"a",',
    "password=a ", "Password=a;", "Pwd={a};", "password=§¤&", "user=a&", "host=a&", "AccountName=a;", "AccountName=§¤;",
    "AccountKey=a;", "Endpoint=a;", "sig=a&", "-c §¤=§ ",
    # hosts, ports and numbers
    "h:1,", "h¤:1,", "§¤.example,", "h,", "[::1],", "::", "1.", "0", "1", "9", "1e9", "0x7f.", ":1", "\u0661",
    # words
    "a", "A", "aA1-", "Zg==", "QUFB", "null,", "NaN", "-----BEGIN ", "eyJ.", "postgresql://", "jdbc:postgresql://",
    "host:1,password=", "§", "§ ", "§¤",
)  # fmt: skip
ENDINGS = (
    "", "", "x", "=", "'", '"', '"}', "}", "]", "\n", "@§/§", "§", "&password=§", ";Password=§", " password=§ host=§",
    f"@{inputs.HOST}/§", '","password":"§"}', '"}]}', ";AccountKey=§==", ":§@§", "\x00", "=§",
)  # fmt: skip

TARGETED = {"target": inputs.HOST, "slots": "app"}
_IN_TURN = {"target": inputs.HOST, "slots": "a,b"}
ADMINISTRATOR, OLDER = "the administrator's secret", "an older version"


_OF_MYSQL = ("mysql-uri", "mysql-jdbc", "mysql-ado", "json", "plain")
_ROWS = {  # one of each sort of string that holds a key
    "service-bus-key": "Microsoft.ServiceBus/namespaces/storders/authorizationRules/app",
    "cosmos-key": "Microsoft.DocumentDB/databaseAccounts/storders",
    "redis-key": "Microsoft.Cache/redis/storders",
    "app-configuration-key": "Microsoft.AppConfiguration/configurationStores/storders",
}


@dataclass(frozen=True, slots=True)
class Reading:
    """Who reads the value, and by which tags: a rotator, or one of the two that read other values than the latest."""

    reader: str
    tags: Mapping[str, str]


READINGS = (
    *(Reading("postgres", TARGETED | {"format": name}) for name in FORMATS),
    *(Reading("postgres-alternating", told) for told in ({"slots": "a,b"}, _IN_TURN, _IN_TURN | {"format": "plain"})),
    *(Reading("mysql", told) for told in ({}, TARGETED, *(TARGETED | {"format": name} for name in _OF_MYSQL))),
    *(Reading(name, {"target": f"{GROUP}/providers/{resource}"}) for name, resource in _ROWS.items()),
    *(Reading("redis-user", told) for told in (
        {}, TARGETED, {"format": "redis"}, {"format": "stackexchange-redis"}, TARGETED | {"format": "plain"})),
    *(Reading("rabbitmq", TARGETED | told) for told in ({}, {"format": "amqp"}, {"format": "json"})),
    *(Reading("storage-key", {"target": inputs.ACCOUNT} | told) for told in (
        {}, {}, {"format": "azure-storage"}, {"format": "json"}, {"format": "plain"})),
    *(Reading("entra-app-secret", {"target": inputs.APPLICATION} | told) for told in (
        {}, {}, {"format": "json"}, {"format": "plain"}, {"format": "key-value"})),
    Reading("jwks", {}), Reading("generated", {}), *(Reading("generated", {"format": name}) for name in FORMS),
    Reading("postgres", {}), Reading("postgres", {}), Reading("postgres", TARGETED), Reading("postgres", TARGETED),
    Reading(ADMINISTRATOR, {}), Reading(OLDER, {}), Reading(OLDER, TARGETED),
)  # fmt: skip

COUNT = len(BEGINNINGS) * len(REPETITIONS) * OF_EACH_PAIR


@dataclass(frozen=True, slots=True)
class Hostile:
    """One value: its text is never shown, its number is."""

    seed: int
    number: int
    text: str
    reading: Reading

    @property
    def rotator(self) -> str:
        """Whose secret it stands in."""
        return "postgres" if self.reading.reader in {ADMINISTRATOR, OLDER} else self.reading.reader


def made(seed: int, number: int, *, twin: bool = False, most: int = MAX_BYTES) -> Hostile:
    """The value of that number, below `COUNT`. twin: with other words in the same form. most: bytes of UTF-8."""
    choose = random.Random(f"hostile {seed} {number}")
    words = _Words(random.Random(f"words {seed} {number} {twin}"))
    pair, turn = divmod(number, OF_EACH_PAIR)
    beginning, repeated = BEGINNINGS[pair % len(BEGINNINGS)], REPETITIONS[pair // len(BEGINNINGS)]
    longest = MAX_BYTES if turn < AS_LONG_AS_CAN_BE else round(MAX_BYTES ** choose.uniform(0.3, 1))
    if turn % 2:
        repeated += choose.choice(REPETITIONS)
    ending = choose.choice(ENDINGS)
    wrapped = choose.choice(_WRAPS) if turn % 4 == 3 else None
    # Each beginning and each repetition meets every reading; which meet together, the seed says.
    reading = READINGS[(number + pair + choose.randrange(len(READINGS))) % len(READINGS)]
    text = _text(words.put(beginning), words.put(repeated), words.put(ending), min(longest, most))
    if wrapped is not None:
        text = wrapped(text[: len(text) // 4])
        text = text if size(text) <= MAX_BYTES else text[: MAX_BYTES // 4]
    return Hostile(seed, number, text, reading)


def size(text: str) -> int:
    """In bytes of UTF-8, half characters included."""
    return len(text.encode(errors="surrogatepass"))


def _text(beginning: str, repeated: str, ending: str, longest: int) -> str:
    room = max(0, longest - size(beginning) - size(ending))
    if "¤" not in repeated:
        return beginning + repeated * (room // size(repeated)) + ending
    grown: list[str] = []
    for number in range(room):
        one = repeated.replace("¤", str(number))
        room -= size(one)
        if room < 0:
            break
        grown.append(one)
    return "".join([beginning, *grown, ending])


def _base64(text: str) -> str:
    return base64.b64encode(text.encode(errors="surrogatepass")).decode()


def _percent(text: str) -> str:
    return quote(text.encode(errors="surrogatepass"), safe="")


def _in_json(text: str) -> str:
    return json.dumps({"password": "wrapped-1", "url": text})


def _in_json_twice(text: str) -> str:
    return json.dumps(json.dumps({"a": text}))


_WRAPS = (_base64, _percent, _in_json, _in_json_twice)


class _Words:
    """Fresh words in place of "§"."""

    def __init__(self, source: random.Random) -> None:
        self._source = source

    def put(self, text: str) -> str:
        first, *others = text.replace("£", "§" * 10 + "aaaaaa==").split("§")
        return "".join([first, *(self._word() + one for one in others)])

    def _word(self) -> str:
        return self._source.choice(string.ascii_lowercase) + "".join(
            self._source.choices(string.ascii_lowercase + string.digits, k=7)
        )
