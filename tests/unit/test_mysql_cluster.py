"""Nodes of one cluster of MySQL or MariaDB have the same accounts, so they are one server to a rotation."""

from typing import Any

import pytest

from rotation.errors import Unreachable
from rotation.model import SecretValue, Tls
from rotation.rotators.databases.database import Account, Endpoint
from rotation.rotators.mysql.refusals import login_error, statement_error
from rotation.rotators.mysql.session import MySQLSession
from tests.contract.harness_generated import SERVICES

CLUSTER = "6a8f3f0e-0000-11f0-8000-0123456789ab"


class Node:
    """Answers what a node of a cluster does, each of which has its own name and was started at its own time."""

    tls = Tls.VERIFY_FULL

    def __init__(self, name: str, started: int, *, galera: bool) -> None:
        self.endpoint = Endpoint(name, 3306)
        self.account = Account("app", SecretValue("of-app-Zq7"), "")
        self.greeted_as = 7
        self._name, self._started, self._galera = name, started, galera

    async def query(self, sql: str) -> list[tuple[Any, ...]]:
        if sql.startswith("SELECT VERSION()"):
            return [("11.8.2-MariaDB" if self._galera else "9.7.0", "app@%", 7)]
        if sql.startswith("SHOW GLOBAL VARIABLES"):
            more = [("wsrep_on", "ON")] if self._galera else [("group_replication_group_name", CLUSTER)]
            return [("hostname", self._name), ("port", "3306"), ("server_uuid", f"of-{self._name}"), *more]
        if sql.startswith("SHOW GLOBAL STATUS LIKE"):
            return [("wsrep_cluster_state_uuid", CLUSTER)]
        return [(self._started,)] if "UPTIME" in sql else []

    def close(self) -> None:
        pass


@pytest.mark.parametrize("galera", [True, False])
async def test_two_nodes_are_one_server(galera: bool) -> None:
    nodes: list[Any] = [
        Node("n1.example", 1_700_000_000, galera=galera),
        Node("n2.example", 1_700_009_999, galera=galera),
    ]
    one, other = [await MySQLSession(node, SERVICES).look(pooler_meant=False) for node in nodes]
    assert (one.identifier, one.started) == (other.identifier, other.started)
    assert one.identifier == CLUSTER


@pytest.mark.parametrize("number", [1047, 3100, 3101])
def test_a_node_that_is_not_in_step_is_asked_again_later(number: int) -> None:
    error = Exception(number, "WSREP has not yet prepared node for application use")
    assert isinstance(statement_error(error, "n1.example:3306", "app"), Unreachable)
    assert isinstance(login_error(error, "n1.example:3306", "app"), Unreachable)
