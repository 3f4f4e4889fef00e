"""Rows of the table: what applications call, and what runs and carries them. Sources as in `rows_messaging`."""

from __future__ import annotations

from rotation.rotators.azure.table import CHILD, IN_A_HOST, Keyed, Slot, Switch

_NO_LOCAL_AUTH = Switch("disableLocalAuth")

APPS = (
    Keyed(  # azure-mgmt-cognitiveservices 14.1.0: the body says Key1, the list key1
        name="cognitive-services-key",
        what="Azure AI services account",
        types={"microsoft.cognitiveservices/accounts": (CHILD,)},
        api_version="2025-09-01",
        role="the role Keyturn AI services keys",
        slots=(Slot("key1", "key1", "Key1"), Slot("key2", "key2", "Key2")),
        body={"keyName": "{slot}"},
        switches=(_NO_LOCAL_AUTH,),
    ),
    # azure-mgmt-apimanagement 5.0.0: two calls, each with an empty answer (204). A key of one's own would take the
    # right to write the whole subscription.
    Keyed(
        name="api-management-key",
        what="API Management subscription",
        types={"microsoft.apimanagement/service/subscriptions": (IN_A_HOST, CHILD)},
        api_version="2024-05-01",
        role="the role Keyturn API Management subscription keys",
        slots=(Slot("primary", "primaryKey", "Primary"), Slot("secondary", "secondaryKey", "Secondary")),
        realm="api-management",
        list_action="listSecrets",
        regenerate="regenerate{slot}Key",
        answers=False,
    ),
    Keyed(  # azure-mgmt-maps 2.1.0
        name="maps-key",
        what="Azure Maps account",
        types={"microsoft.maps/accounts": (CHILD,)},
        api_version="2023-06-01",
        role="the role Keyturn Maps keys",
        slots=(
            Slot("primary", "primaryKey", "primary", created="primaryKeyLastUpdated"),
            Slot("secondary", "secondaryKey", "secondary", created="secondaryKeyLastUpdated"),
        ),
        body={"keyType": "{slot}"},
        switches=(_NO_LOCAL_AUTH,),
    ),
    Keyed(  # azure-mgmt-containerregistry 15.0.0
        name="container-registry-admin-password",
        what="container registry",
        types={"microsoft.containerregistry/registries": ("[a-z0-9]{5,50}",)},
        api_version="2025-11-01",
        role="the role Keyturn container registry admin",
        slots=(
            Slot("password", "passwords[name=password].value", "password"),
            Slot("password2", "passwords[name=password2].value", "password2"),
        ),
        realm="container-registry",
        list_action="listCredentials",
        regenerate="regenerateCredential",
        body={"name": "{slot}"},
        switches=(Switch("adminUserEnabled", off=("false",)),),
    ),
    Keyed(  # azure-mgmt-automation 2.0.0, agent_registration_information
        name="automation-key",
        what="Automation account",
        types={"microsoft.automation/automationaccounts": (CHILD,)},
        api_version="2024-10-23",
        role="the role Keyturn Automation keys",
        slots=(Slot("primary", "keys.primary", "primary"), Slot("secondary", "keys.secondary", "secondary")),
        list_method="GET",
        list_action="agentRegistrationInformation",
        regenerate="agentRegistrationInformation/regenerateKey",
        body={"keyName": "{slot}"},
        switches=(_NO_LOCAL_AUTH,),
    ),
)
