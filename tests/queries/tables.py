"""The tables that the queries read: names and types as the Azure Monitor Logs reference has them.

Only the columns that somebody may want are here. Sources, all in MicrosoftDocs/azure-reference-other, in the folder
azure-monitor-ref/tables: AppTraces, AppDependencies, AppMetrics, AegDeliveryFailureLogs, and AZKVAuditLogs, where audit
logs go from a diagnostic setting whose destination type is Dedicated. They go to AzureDiagnostics otherwise, which has
the columns that arrive.
"""

from collections.abc import Mapping

TABLES: Mapping[str, Mapping[str, str]] = {
    "AppTraces": {
        "TimeGenerated": "datetime",
        "Message": "string",
        "SeverityLevel": "int",
        "OperationId": "string",
        "OperationName": "string",
        "AppRoleName": "string",
        "ItemCount": "int",
        "Properties": "dynamic",
        "_ResourceId": "string",
    },
    "AppDependencies": {
        "TimeGenerated": "datetime",
        "Name": "string",
        "DependencyType": "string",
        "DurationMs": "real",
        "Success": "bool",
        "Id": "string",
        "ParentId": "string",
        "OperationId": "string",
        "Properties": "dynamic",
        "_ResourceId": "string",
    },
    "AppMetrics": {
        "TimeGenerated": "datetime",
        "Name": "string",
        "Sum": "real",
        "Min": "real",
        "Max": "real",
        "ItemCount": "int",
        "Properties": "dynamic",
        "_ResourceId": "string",
    },
    "AZKVAuditLogs": {
        "TimeGenerated": "datetime",
        "OperationName": "string",
        "HttpStatusCode": "int",
        "ResultSignature": "string",
        "ResultDescription": "string",
        "CallerIpAddress": "string",
        "Identity": "dynamic",
        "Id": "string",
        "RequestUri": "string",
        "ClientInfo": "string",
        "_ResourceId": "string",
    },
    "AzureDiagnostics": {
        "TimeGenerated": "datetime",
        "ResourceProvider": "string",
        "Category": "string",
        "Resource": "string",
        "ResourceId": "string",
        "OperationName": "string",
        "ResultDescription": "string",
        "CallerIPAddress": "string",
        "httpStatusCode_d": "real",
        "id_s": "string",
        "requestUri_s": "string",
        "clientInfo_s": "string",
        "identity_claim_appid_g": "string",
        "identity_claim_oid_g": "string",
        "identity_claim_http_schemas_xmlsoap_org_ws_2005_05_identity_claims_upn_s": "string",
    },
    "AegDeliveryFailureLogs": {
        "TimeGenerated": "datetime",
        "EventSubscriptionName": "string",
        "OperationName": "string",
        "Message": "string",
        "_ResourceId": "string",
    },
}
