"""Keywords that decide who logs in where, by all the names that drivers have for them.

A form reads its own names for host, port, database, user and password. Any other of these names in it is refused: a
driver may not know it (then the value does not say what it seems to), or may follow it elsewhere.

Sources: libpq, "Parameter Key Words" (34.1.2, PostgreSQL 18) and `PQconninfoOptions` in fe-connect.c; Npgsql,
"Connection String Parameters" and NpgsqlConnectionStringBuilder.cs (10.0); pgJDBC, PGProperty.java (42.7) and
Driver.parseURL; psqlODBC, "Configuration Options" and dlg_specific.h; SQLAlchemy, "PostgreSQL" dialects; node-postgres,
pg-connection-string; pgx, pgconn/config.go; PyMySQL, "Connection Object"; mysql2, connection_config.js; MySQL
Connector/J, "Configuration Properties"; MySqlConnector, "Connection Options".
"""

from __future__ import annotations

from rotation.formats.copies import plain_name
from rotation.formats.value import NotUnderstood

# As `plain_name` writes them.
_PLACE_OR_LOGIN = frozenset(
    {
        "host", "hosts", "hostname", "server", "servername", "datasource", "addr", "address", "networkaddress", "fqdn",
        "port", "portnumber", "ports", "database", "databasename", "db", "dbname", "initialcatalog",
        "user", "username", "userid", "uid", "login", "role", "password", "pwd", "psw", "pass", "passwd",
        "pghost", "pgport", "pgdatabase", "pgdbname", "pguser", "pgpassword", "accountname", "accountkey",
        "sharedaccesskey", "sharedaccesskeyname",
    }
)  # fmt: skip
_ELSEWHERE = frozenset(
    {
        # another server, or another way to it
        "hostaddr", "pghostaddr", "service", "servicefile", "pgservice", "pgservicefile", "ldapservice", "dsn",
        "filedsn", "savefile", "conninfo", "connectionstring", "datasourcename", "pqopt", "url", "uri", "unixsock",
        "unixsocket", "socketpath", "readdefaultfile", "readdefaultgroup", "optionfiles", "defaultsfile", "pipe",
        "pipename", "protocol", "connectionprotocol", "serverspn", "serverredirectionmode", "localsocket",
        "socket", "sock", "socketfactory", "socketfactoryarg", "localsocketaddress", "sourceaddress",
        "proxy", "proxyhost", "proxyport", "sshhost", "tunnel", "dnssrv", "propertiestransform", "useconfigs",
        "socksproxyhost", "socksproxyport",
        # another login, or one that outlives the password
        "passfile", "passcommand", "pgpassfile", "requirepeer", "scramclientkey", "scramserverkey", "oauthissuer",
        "oauthclientid", "oauthclientsecret", "oauthscope", "integratedsecurity", "trustedconnection",
        "password1", "password2", "password3", "passwordsha1",
        "authenticationpluginclassname", "jaasapplicationname", "jaaslogin", "accesstoken", "authtype",
        # code that the driver loads
        "sslfactory", "sslfactoryarg", "sslhostnameverifier", "sslpasswordcallback", "xmlfactoryfactory",
        "connectionfactory", "cursorfactory", "connectionclass", "recordclass", "asynccreatorfn", "asynccreator",
        "gsslib", "sslengine", "translationdll", "translationoption", "pwdplugin", "creator", "plugins",
        "authplugin", "authplugins", "authenticationplugins", "defaultauthenticationplugin", "authswitchhandler",
        "plugindir", "credentialtype", "initcommand", "sessionvariables",
    }
)  # fmt: skip


def check(keyword: str, written: str) -> None:
    """Look at a keyword that its form does not read itself. `written`: what the form is called in a message.

    Raises:
        Unusable: it leads elsewhere, or is a name for what the form calls otherwise.
    """
    name = plain_name(keyword)
    if name in _ELSEWHERE:
        raise NotUnderstood(f"the value's {name} leads elsewhere than its host and password say; take it out")
    if name in _PLACE_OR_LOGIN:
        raise NotUnderstood(f"the value's {name} is no keyword of {written}, or says again what another one says")
