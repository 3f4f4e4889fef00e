// What `azd up` deploys. All of it comes from azd's environment: azd env set KEYTURN_VAULTS '[{"name": "kv-orders-prod", …}]'
using 'main.bicep'

param name = readEnvironmentVariable('AZURE_ENV_NAME', 'keyturn')
param location = readEnvironmentVariable('AZURE_LOCATION', 'westeurope')
param tags = {
  'azd-env-name': readEnvironmentVariable('AZURE_ENV_NAME', 'keyturn')
}
param vaults = json(readEnvironmentVariable('KEYTURN_VAULTS', '[]'))
param httpAuth = readEnvironmentVariable('KEYTURN_HTTP_AUTH', 'entra')
param alertEmails = json(readEnvironmentVariable('KEYTURN_ALERT_EMAILS', '[]'))

// What the preprovision hook found out.
param entraClientId = readEnvironmentVariable('KEYTURN_CLIENT_ID', '')
param grants = json(readEnvironmentVariable('KEYTURN_GRANTS', '[]'))
