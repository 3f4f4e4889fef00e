"""Rows of the table: what carries messages and events.

Versions, calls, bodies and answers are those of Azure/bicep-types-az and of the azure-mgmt-* packages, both generated
from Azure/azure-rest-api-specs; the packages' names and versions stand with each row. Nothing was tried on Azure.
"""

from __future__ import annotations

from rotation.rotators.azure.table import CHILD, IN_A_HOST, Form, Keyed, Slot, Switch

_NO_LOCAL_AUTH = Switch("disableLocalAuth")
_OF_NAMESPACE = Switch("disableLocalAuth", outermost=True)
_KEY1_KEY2 = (Slot("key1", "key1", "key1"), Slot("key2", "key2", "key2"))
_PRIMARY_SECONDARY = (Slot("primary", "primaryKey", "Primary"), Slot("secondary", "secondaryKey", "Secondary"))
_OF_POLICY = (Slot("primary", "primaryKey", "PrimaryKey"), Slot("secondary", "secondaryKey", "SecondaryKey"))
# azure-servicebus 7.15.0, `_base_handler.py`, has the names; the zones are in "Azure Private Endpoint private DNS zone
# values".
_SHARED_ACCESS = Form(
    key="SharedAccessKey",
    address="Endpoint",
    hosts=("{0}.servicebus.windows.net", "{0}.servicebus.usgovcloudapi.net", "{0}.servicebus.chinacloudapi.cn"),
    scheme="sb://",
    port="443|5671",
    named={"SharedAccessKeyName": -1},
    entity="EntityPath",
    others=("TransportType", "OperationTimeout"),
)


def _policies(namespaces: str, *entities: str) -> dict[str, tuple[str, ...]]:
    """Shared access policies of a namespace and of what is in it."""
    found = {f"{namespaces}/authorizationrules": (IN_A_HOST, CHILD)}
    return found | {f"{namespaces}/{entity}/authorizationrules": (IN_A_HOST, CHILD, CHILD) for entity in entities}


MESSAGING = (
    Keyed(  # azure-mgmt-servicebus 10.0.0: RegenerateAccessKeyParameters
        name="service-bus-key",
        what="Service Bus shared access policy",
        types=_policies("microsoft.servicebus/namespaces", "queues", "topics"),
        api_version="2026-01-01",
        role="the roles Keyturn Service Bus keys and Keyturn Service Bus namespaces",
        slots=_OF_POLICY,
        realm="service-bus",
        regenerate="regenerateKeys",
        body={"keyType": "{slot}"},
        chosen="key",
        forms=(_SHARED_ACCESS,),
        switches=(_OF_NAMESPACE,),
    ),
    Keyed(  # azure-mgmt-eventhub 12.0.0
        name="event-hubs-key",
        what="Event Hubs shared access policy",
        types=_policies("microsoft.eventhub/namespaces", "eventhubs"),
        api_version="2026-01-01",
        role="the roles Keyturn Event Hubs keys and Keyturn Event Hubs namespaces",
        slots=_OF_POLICY,
        realm="event-hubs",
        regenerate="regenerateKeys",
        body={"keyType": "{slot}"},
        chosen="key",
        forms=(_SHARED_ACCESS,),
        switches=(_OF_NAMESPACE,),
    ),
    Keyed(  # azure-mgmt-relay 2.1.0; its namespaces have no property that switches keys off
        name="relay-key",
        what="Relay shared access policy",
        types=_policies("microsoft.relay/namespaces", "hybridconnections", "wcfrelays"),
        api_version="2026-01-01",
        role="the role Keyturn Relay keys",
        slots=_OF_POLICY,
        realm="relay",
        regenerate="regenerateKeys",
        body={"keyType": "{slot}"},
        chosen="key",
        forms=(_SHARED_ACCESS,),
    ),
    Keyed(  # bicep-types-az, notificationhubs 2023-09-01: `policyKey`, and no field for a key of one's own
        name="notification-hubs-key",
        what="Notification Hubs shared access policy",
        types=_policies("microsoft.notificationhubs/namespaces", "notificationhubs"),
        api_version="2023-09-01",
        role="the role Keyturn Notification Hubs keys",
        slots=_OF_POLICY,
        realm="notification-hubs",
        regenerate="regenerateKeys",
        body={"policyKey": "{slot}"},
        forms=(_SHARED_ACCESS,),
    ),
    Keyed(  # azure-mgmt-eventgrid 10.4.0: of topics and namespaces the call takes its time, of domains it does not
        name="event-grid-topic-key",
        what="Event Grid topic",
        types={"microsoft.eventgrid/topics": (CHILD,)},
        api_version="2025-02-15",
        role="the role Keyturn Event Grid topic keys",
        slots=_KEY1_KEY2,
        body={"keyName": "{slot}"},
        long_running=True,
        switches=(_NO_LOCAL_AUTH,),
    ),
    Keyed(
        name="event-grid-domain-key",
        what="Event Grid domain",
        types={"microsoft.eventgrid/domains": (CHILD,)},
        api_version="2025-02-15",
        role="the role Keyturn Event Grid domain keys",
        slots=_KEY1_KEY2,
        body={"keyName": "{slot}"},
        switches=(_NO_LOCAL_AUTH,),
    ),
    Keyed(
        name="event-grid-namespace-key",
        what="Event Grid namespace",
        types={"microsoft.eventgrid/namespaces": (CHILD,)},
        api_version="2025-02-15",
        role="the role Keyturn Event Grid namespace keys",
        slots=_KEY1_KEY2,
        body={"keyName": "{slot}"},
        long_running=True,
    ),
    Keyed(  # azure-mgmt-signalr 1.2.0, begin_regenerate_key; `Salt`, which ends every token of both keys, is never sent
        name="signalr-key",
        what="SignalR Service",
        types={"microsoft.signalrservice/signalr": (IN_A_HOST,)},
        api_version="2024-03-01",
        role="the role Keyturn SignalR keys",
        slots=_PRIMARY_SECONDARY,
        realm="signalr",
        body={"keyType": "{slot}"},
        long_running=True,
        forms=(Form("AccessKey", "Endpoint", ("{0}.service.signalr.net",), others=("Version",)),),
        switches=(_NO_LOCAL_AUTH,),
    ),
    Keyed(  # azure-mgmt-webpubsub 2.0.0; the form: azure-messaging-webpubsubservice 1.3.0, `_patch.py`
        name="web-pubsub-key",
        what="Web PubSub service",
        types={"microsoft.signalrservice/webpubsub": (IN_A_HOST,)},
        api_version="2024-03-01",
        role="the role Keyturn Web PubSub keys",
        slots=_PRIMARY_SECONDARY,
        realm="web-pubsub",
        body={"keyType": "{slot}"},
        long_running=True,
        forms=(Form("AccessKey", "Endpoint", ("{0}.webpubsub.azure.com",), others=("Version",)),),
        switches=(_NO_LOCAL_AUTH,),
    ),
    Keyed(  # azure-mgmt-communication 3.0.0; the form: azure-communication-identity 1.5.0, `_shared/utils.py`
        name="communication-key",
        what="Communication Services resource",
        types={"microsoft.communication/communicationservices": (IN_A_HOST,)},
        api_version="2026-03-18",
        role="the role Keyturn Communication Services keys",
        slots=_PRIMARY_SECONDARY,
        realm="communication",
        body={"keyType": "{slot}"},
        forms=(Form("accesskey", "endpoint", ("{0}.*.communication.azure.com",)),),
        switches=(_NO_LOCAL_AUTH,),
    ),
)
