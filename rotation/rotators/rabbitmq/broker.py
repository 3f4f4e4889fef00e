"""What RabbitMQ is to the rotators of databases: see `rotation.rotators.databases.database`.

Consumers speak AMQP, and passwords are changed over the management API of the same cluster. So the tag `target` names
that one. The two are told apart by where an address is written, and not by its port.
"""

from __future__ import annotations

from collections.abc import Sequence

from rotation.errors import Refused, Unusable
from rotation.formats import Value, read_of
from rotation.model import SecretValue, Spec, Tls
from rotation.ports import RotatorDependencies
from rotation.rotators.databases.database import Account, Endpoint, Session
from rotation.rotators.rabbitmq.amqp import AmqpSession
from rotation.rotators.rabbitmq.management import ManagementSession

MANAGEMENT_PORT = 15671  # "Networking and RabbitMQ": HTTPS of the management plugin


class RabbitBroker:
    """Its logins are users of its own database; those of LDAP, OAuth or certificates are others' business."""

    product = "RabbitMQ"
    noun = "user"
    realm_prefix = "rabbitmq:"
    changes_itself = False  # but for one with the tag administrator
    default_port = MANAGEMENT_PORT
    maintenance_database = "/"  # the virtual host that a value names that names none

    def __init__(self, services: RotatorDependencies) -> None:
        self.services = services

    def read_login(self, value: SecretValue, spec: Spec) -> Value:
        form = read_of(self.product, value, spec.format)
        if spec.target is None:
            raise Unusable(
                "passwords are changed over RabbitMQ's management API: set the tag target to its HOST or HOST:PORT",
                field="target",
            )
        if any(host.port is None for host in form.hosts):
            raise Unusable("the value names a host and no port: write the one of AMQP, as 5671", field="value")
        return form

    def resource(self, target: str) -> str:
        raise Unusable(f"the tag target is no HOST or HOST:PORT, and no RabbitMQ is {target[:1]!a}…", field="target")

    async def endpoint_of(self, resource: str) -> Endpoint:
        raise Refused(f"no RabbitMQ has the id {resource!a:.80} in Azure")

    async def by_identity(self, user: str | None, endpoints: Sequence[Endpoint]) -> Account:  # noqa: ARG002
        raise Refused(
            "a user of RabbitMQ is changed by a login with a password, and not by this app's token: write the "
            'administrator\'s secret into the rule (admin = "secret:NAME")'
        )

    async def connect(self, endpoint: Endpoint, account: Account, tls: Tls) -> Session:
        if endpoint.for_changes:
            return await ManagementSession.opened(endpoint, account, tls, self.services.random)
        return await AmqpSession.opened(endpoint, account, tls)
