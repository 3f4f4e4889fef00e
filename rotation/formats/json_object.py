"""A flat JSON object: {"username": "app", "password": "…", "host": "db", "port": 5432, "dbname": "orders"}.

Fields are known by their names, of which `json_names` has the list; what else is in the object is left as it is, where
it is no connection string and holds no copy of the login. Connection strings in fields are read by the readers of their
own forms, must say the same as the fields do, and are written anew with them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from rotation.errors import Unusable
from rotation.formats import ado, azure_storage, jdbc, key_value, mysql_ado, mysql_jdbc, mysql_uri, odbc, pgpass, uri
from rotation.formats.copies import plain_name
from rotation.formats.families import form_of
from rotation.formats.hosts import listed_hosts, same_servers
from rotation.formats.json_names import CONNECTION, MEANS, PASSWORD_ENCODED
from rotation.formats.json_text import Field, fields_of, write
from rotation.formats.keywords import check
from rotation.formats.percent import escape
from rotation.formats.products import MYSQL, POSTGRESQL, products_of
from rotation.formats.value import Host, Nested, NotUnderstood, Span, Value
from rotation.model import SecretValue

_READERS: Mapping[str, Callable[..., Value]] = {
    "uri": uri.read,
    "jdbc": jdbc.read,
    "key-value": key_value.read,
    "ado": ado.read,
    "odbc": odbc.read,
    "azure-storage": azure_storage.read,
    "mysql-uri": mysql_uri.read,
    "mysql-jdbc": mysql_jdbc.read,
    "mysql-ado": mysql_ado.read,
}

_ENGINES = (("postgres", POSTGRESQL), ("mysql", MYSQL), ("mariadb", MYSQL))


@dataclass(slots=True)
class _Read:
    """by_meaning: the fields of user, password, host, port and dbname. encoded: copies of the password, for a URI."""

    by_meaning: dict[str, list[Field]] = field(default_factory=dict)
    encoded: list[Field] = field(default_factory=list)
    nested: list[Nested] = field(default_factory=list)
    options: dict[str, str] = field(default_factory=dict)
    products: set[str] = field(default_factory=set)

    @property
    def product(self) -> str | None:
        """Whose login it says that it is; None: it does not say.

        Raises:
            Unusable: that of two.
        """
        said = self.products.union(*(products_of(one.value) for one in self.nested))
        if len(said) > 1:
            raise NotUnderstood("the JSON object has parts of two databases: leave those of one")
        return next(iter(said), None)

    def one(self, meaning: str) -> str | None:
        """The text that a meaning's fields have in common.

        Raises:
            Unusable: they differ, or a host, a port or a database has several.
        """
        fields = self.by_meaning.get(meaning, [])
        if len({found.text for found in fields}) > 1 or (meaning not in {"user", "password"} and len(fields) > 1):
            raise NotUnderstood(f"the JSON object has several fields for its {meaning}: leave one")
        return fields[0].text if fields else None

    def places(self, meaning: str) -> tuple[Span, ...]:
        """Where a meaning's fields are."""
        return tuple(Span(found.start, found.end, write) for found in self.by_meaning.get(meaning, []))


def read(text: str) -> Value:
    """Read a JSON object.

    Raises:
        Unusable: it is none, it is not flat, a field is in it twice, there is no password, or its parts disagree.
    """
    found = _sorted_fields(fields_of(text))
    password, user = found.one("password"), found.one("user")
    if not password:
        raise NotUnderstood('the JSON object has no "password" that is a string')
    if user == "":
        raise NotUnderstood("the user in the JSON object is empty: write it, or take it out")
    product = found.product
    hosts = listed_hosts(found.one("host") or "", found.one("port") or "") if found.one("host") else ()
    if product == MYSQL:
        hosts = mysql_uri.with_port(hosts)
    if "port" in found.by_meaning and not hosts and not found.nested:
        raise NotUnderstood("the JSON object has a port and no host")
    user, hosts, dbname = _agreed(found.nested, password, user, hosts, found.one("dbname"))
    for one in found.encoded:
        if one.text != escape(password):
            raise NotUnderstood("the JSON object's percent-encoded password is not the one of its password: correct it")
    copies = tuple(Span(one.start, one.end, lambda new: write(escape(new))) for one in found.encoded)
    return Value(
        "json",
        SecretValue(text),
        SecretValue(password),
        user=user,
        hosts=hosts,
        dbname=dbname or None,
        options=found.options,
        password_places=(*found.places("password"), *copies),
        user_places=found.places("user"),
        nested=tuple(found.nested),
        product=product,
    )


def _sorted_fields(fields: Iterable[Field]) -> _Read:
    found = _Read()
    for one in fields:
        name = plain_name(one.name)
        if one.is_null:
            continue  # as if it were not there
        if name in MEANS:
            _check_kind(MEANS[name], one)
            found.by_meaning.setdefault(MEANS[name], []).append(one)
            if name.startswith(("mysql", "mariadb")):
                found.products.add(MYSQL)
        elif name in PASSWORD_ENCODED and one.is_string:
            found.encoded.append(one)
        else:
            nested = _nested(name, one) if one.is_string else None
            if nested is not None:
                found.nested.append(nested)
            else:
                _option(name, one, found)
    return found


def _check_kind(meaning: str, one: Field) -> None:
    if one.is_string or (meaning == "port" and one.is_number):
        return
    if meaning == "password":
        raise NotUnderstood('the JSON object has no "password" that is a string')
    raise NotUnderstood(f"the JSON object's {meaning} is no string{' or number' if meaning == 'port' else ''}")


def _option(name: str, one: Field, found: _Read) -> None:
    if name == "engine":
        engine = next((product for word, product in _ENGINES if word in one.text.lower()), None)
        if engine is None:
            raise NotUnderstood("the JSON object's engine is neither PostgreSQL nor MySQL, and no rotator reads it yet")
        found.products.add(engine)
    if name not in CONNECTION:
        check(one.name, "the JSON object")
    found.options[one.name.lower()] = one.text


def _nested(name: str, one: Field) -> Nested | None:
    place = Span(one.start, one.end, write)
    if name == "pgpass":
        return Nested(place, pgpass.read(one.text))
    try:
        form = form_of(one.text, "ado")
    except Unusable:
        return None
    if form not in _READERS:
        return None
    try:
        return Nested(place, _READERS[form](one.text, alone=False))
    except Unusable:
        pass
    raise NotUnderstood("a field of the JSON object is a connection string that can't be read: mend it, or take it out")


def _agreed(
    nested: Iterable[Nested], password: str, user: str | None, hosts: tuple[Host, ...], dbname: str | None
) -> tuple[str | None, tuple[Host, ...], str | None]:
    """-> user, hosts and database, which may be in the connection strings alone."""
    values = [one.value for one in nested]
    user = user if user is not None else next((value.user for value in values if value.user is not None), None)
    hosts = hosts or next((value.hosts for value in values if value.hosts), ())
    dbname = dbname or next((value.dbname for value in values if value.dbname), None)
    for value in values:
        if (
            not same_servers(value.hosts, hosts)
            or value.user not in {None, user}
            or value.password.reveal() not in {"", password}
        ):
            raise NotUnderstood(
                "a connection string in the JSON object names another host, user or password than its fields"
            )
    return user, hosts, dbname
