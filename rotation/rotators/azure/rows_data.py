"""Rows of the table: what keeps, finds, moves and computes data. Sources as in `rows_messaging`."""

from __future__ import annotations

from rotation.rotators.azure.table import CHILD, IN_A_HOST, LATER_S, Address, Form, Keyed, Slot, Switch

_NO_LOCAL_AUTH = Switch("disableLocalAuth")
_PRIMARY_SECONDARY = (Slot("primary", "primaryKey", "Primary"), Slot("secondary", "secondaryKey", "Secondary"))
_COSMOS = Form(  # azure-cosmos 4.17.1, `cosmos_client.py`
    "AccountKey", "AccountEndpoint", ("{0}.documents.azure.com", "{0}.documents.azure.us", "{0}.documents.azure.cn")
)
_COSMOS_TYPE = {"microsoft.documentdb/databaseaccounts": (IN_A_HOST,)}
_STORE_TYPE = {"microsoft.appconfiguration/configurationstores": (IN_A_HOST,)}
_STORE = Form("Secret", "Endpoint", ("{0}.azconfig.io", "{0}.azconfig.azure.us", "{0}.azconfig.azure.cn"), id="Id")
# StackExchange.Redis, "Configuration"; nothing that leads elsewhere (proxy, tunnel, sslHost).
_REDIS_SETTINGS = (
    "ssl", "abortConnect", "connectTimeout", "connectRetry", "syncTimeout", "asyncTimeout", "keepAlive", "name",
    "defaultDatabase", "allowAdmin", "sslProtocols",
)  # fmt: skip


def _of_store(name: str, called: str) -> Slot:
    place = f"value[name={called}]"
    return Slot(name, f"{place}.value", called, created=f"{place}.lastModified", id=f"{place}.id")


DATA = (
    # azure-mgmt-cosmosdb 10.0.0, database_accounts_regenerate_key: 200 or 202, an empty answer. "Rotate keys for Azure
    # Cosmos DB for NoSQL": it takes from a minute to several hours.
    Keyed(
        name="cosmos-key",
        what="Cosmos DB account",
        types=_COSMOS_TYPE,
        api_version="2026-03-15",
        role="the role Keyturn Cosmos DB keys",
        slots=(
            Slot("primary", "primaryMasterKey", "primary"),
            Slot("secondary", "secondaryMasterKey", "secondary"),
        ),
        realm="cosmos",
        body={"keyKind": "{slot}"},
        answers=False,
        long_running=True,
        patience_h=24,
        look_again_s=LATER_S,
        forms=(_COSMOS,),
        switches=(_NO_LOCAL_AUTH,),
    ),
    Keyed(
        name="cosmos-read-only-key",
        what="Cosmos DB account",
        types=_COSMOS_TYPE,
        api_version="2026-03-15",
        role="the role Keyturn Cosmos DB keys",
        slots=(
            Slot("primaryReadonly", "primaryReadonlyMasterKey", "primaryReadonly"),
            Slot("secondaryReadonly", "secondaryReadonlyMasterKey", "secondaryReadonly"),
        ),
        realm="cosmos",
        body={"keyKind": "{slot}"},
        answers=False,
        long_running=True,
        patience_h=24,
        look_again_s=LATER_S,
        forms=(_COSMOS,),
        switches=(_NO_LOCAL_AUTH,),
    ),
    Keyed(  # azure-mgmt-redis 14.5.0
        name="redis-key",
        what="Azure Cache for Redis",
        types={"microsoft.cache/redis": (IN_A_HOST,)},
        api_version="2024-11-01",
        role="the role Keyturn Redis keys",
        slots=_PRIMARY_SECONDARY,
        realm="redis",
        body={"keyType": "{slot}"},
        forms=(
            Address(
                (
                    "{0}.redis.cache.windows.net",
                    "{0}.redis.cache.usgovcloudapi.net",
                    "{0}.redis.cache.chinacloudapi.cn",
                ),
                "6380",
                others=_REDIS_SETTINGS,
            ),
        ),
        switches=(Switch("disableAccessKeyAuthentication"),),
    ),
    Keyed(  # azure-mgmt-redisenterprise 3.1.0; a host's region is known to Azure alone, so a value is the key alone
        name="managed-redis-key",
        what="Azure Managed Redis database",
        types={"microsoft.cache/redisenterprise/databases": (IN_A_HOST, CHILD)},
        api_version="2025-07-01",
        role="the role Keyturn Managed Redis keys",
        slots=_PRIMARY_SECONDARY,
        body={"keyType": "{slot}"},
        long_running=True,
        switches=(Switch("accessKeysAuthentication", off=("disabled",)),),
    ),
    Keyed(  # azure-mgmt-search 9.2.0, admin_keys.regenerate: which key stands in the path
        name="search-admin-key",
        what="AI Search service",
        types={"microsoft.search/searchservices": (IN_A_HOST,)},
        api_version="2025-05-01",
        role="the role Keyturn AI Search keys",
        slots=(Slot("primary", "primaryKey", "primary"), Slot("secondary", "secondaryKey", "secondary")),
        realm="search",
        list_action="listAdminKeys",
        regenerate="regenerateAdminKey/{slot}",
        switches=(_NO_LOCAL_AUTH,),
    ),
    # azure-mgmt-appconfiguration 5.0.0; ConfigurationStoresListKeys.json among its examples: a key has an id, which a
    # value names too (azure-appconfiguration 1.10.0), and which the second call asks for.
    Keyed(
        name="app-configuration-key",
        what="App Configuration store",
        types=_STORE_TYPE,
        api_version="2024-06-01",
        role="the role Keyturn App Configuration keys",
        slots=(_of_store("primary", "Primary"), _of_store("secondary", "Secondary")),
        realm="app-configuration",
        body={"id": "{id}"},
        one_key="value",
        bare=False,
        forms=(_STORE,),
        switches=(_NO_LOCAL_AUTH,),
    ),
    Keyed(
        name="app-configuration-read-only-key",
        what="App Configuration store",
        types=_STORE_TYPE,
        api_version="2024-06-01",
        role="the role Keyturn App Configuration keys",
        slots=(
            _of_store("primary-read-only", "Primary Read Only"),
            _of_store("secondary-read-only", "Secondary Read Only"),
        ),
        realm="app-configuration",
        body={"id": "{id}"},
        one_key="value",
        bare=False,
        forms=(_STORE,),
        switches=(_NO_LOCAL_AUTH,),
    ),
    Keyed(  # azure-mgmt-batch 19.0.0
        name="batch-key",
        what="Batch account",
        types={"microsoft.batch/batchaccounts": ("[a-z0-9]{3,24}",)},
        api_version="2025-06-01",
        role="the role Keyturn Batch keys",
        slots=(Slot("primary", "primary", "Primary"), Slot("secondary", "secondary", "Secondary")),
        regenerate="regenerateKeys",
        body={"keyName": "{slot}"},
        switches=(Switch("allowedAuthenticationModes", without="SharedKey"),),
    ),
    Keyed(  # azure-mgmt-datafactory 10.0.0; whether an answer has both keys no source says, so they are listed again
        name="data-factory-runtime-key",
        what="Data Factory integration runtime",
        types={"microsoft.datafactory/factories/integrationruntimes": (IN_A_HOST, CHILD)},
        api_version="2018-06-01",
        role="the role Keyturn Data Factory runtime keys",
        slots=(Slot("authKey1", "authKey1", "authKey1"), Slot("authKey2", "authKey2", "authKey2")),
        realm="data-factory",
        list_action="listAuthKeys",
        regenerate="regenerateAuthKey",
        body={"keyName": "{slot}"},
        answers=False,
        key=r"IR@[0-9A-Fa-f-]{36}@[A-Za-z0-9-]{3,63}@ServiceEndpoint=[A-Za-z0-9.-]{1,253}@[A-Za-z0-9+/]{20,100}={0,2}",
    ),
    Keyed(  # azure-sdk-for-js, arm-machinelearning: onlineEndpoints.beginRegenerateKeys
        name="ml-endpoint-key",
        what="Machine Learning online endpoint",
        types={"microsoft.machinelearningservices/workspaces/onlineendpoints": (CHILD, CHILD)},
        api_version="2026-05-01",
        role="the role Keyturn Machine Learning endpoint keys",
        slots=_PRIMARY_SECONDARY,
        regenerate="regenerateKeys",
        body={"keyType": "{slot}"},
        answers=False,
        long_running=True,
        switches=(Switch("authMode", off=("amltoken", "aadtoken")),),
    ),
)
