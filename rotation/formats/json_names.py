"""What the fields of a JSON object are called: an allow-list, written without "_", "-" and capital letters.

Amazon's and Azure's conventions for databases, libpq's environment, CloudNativePG's secrets, the environment of Azure's
identity libraries (AZURE_CLIENT_SECRET) and of its storage tools. Names that many things have ("key", "secret",
"apiKey", "token", "value") are not in it.
"""

from __future__ import annotations

from collections.abc import Mapping

_NAMES = {
    "password": (
        "password", "pwd", "pass", "passwd", "pgpassword", "dbpassword", "databasepassword", "postgrespassword",
        "mysqlpassword", "mysqlpwd", "mariadbpassword",
        "clientsecret", "azureclientsecret", "armclientsecret", "accountkey", "storageaccountkey", "storagekey",
        "azurestoragekey", "azurestorageaccountkey",
    ),
    "user": (
        "username", "user", "uid", "userid", "login", "pguser", "dbuser", "dbusername", "databaseuser",
        "databaseusername", "postgresuser", "mysqluser", "mariadbuser", "clientid", "azureclientid", "armclientid",
        "appid", "accountname", "storageaccount", "storageaccountname", "azurestorageaccount",
        "azurestorageaccountname",
    ),
    "host": (
        "host", "hostname", "server", "servername", "fqdn", "address", "pghost", "dbhost", "databasehost",
        "postgreshost", "mysqlhost", "mariadbhost",
    ),
    "port": ("port", "pgport", "dbport", "databaseport", "postgresport", "mysqlport", "mysqltcpport", "mariadbport"),
    "dbname": (
        "dbname", "database", "db", "databasename", "pgdatabase", "postgresdb", "postgresdatabase", "mysqldatabase",
        "mariadbdatabase",
    ),
}  # fmt: skip
MEANS: Mapping[str, str] = {name: meaning for meaning, names in _NAMES.items() for name in names}

PASSWORD_ENCODED = frozenset(
    {
        f"{before}password{after}"
        for before, after in (
            ("", "encoded"), ("", "urlencoded"), ("", "percentencoded"), ("", "escaped"), ("encoded", ""),
            ("urlencoded", ""), ("percentencoded", ""), ("escaped", ""), ("uri", ""), ("url", ""),
            ("", "uri"),
            ("", "url"),
        )
    }
)  # fmt: skip
# Fields that may hold a connection string. Where one holds something else (a website), it is left as it is.
CONNECTION = frozenset({"url", "uri", "connectionstring", "dsn"})
