// Existing vaults in several resource groups and subscriptions, an existing workspace, network, DNS zones and action group;
// nothing but Event Grid comes in from the internet; the ledger can't be changed for a year.
using 'main.bicep'

param name = 'keyturn-prod'
param resourceGroupName = 'rg-keyturn-prod'
param tags = {
  owner: 'platform'
  environment: 'prod'
}

param vaults = [
  {
    name: 'kv-orders-prod'
    resourceGroup: 'rg-orders-prod'
  }
  {
    name: 'kv-billing-prod'
    resourceGroup: 'rg-billing-prod'
    subscriptionId: '11111111-1111-1111-1111-111111111111'
    location: 'northeurope'
    topicName: 'evgst-billing' // this vault has its system topic already, and there can be one only
  }
  {
    name: 'kv-shared-prod'
    resourceGroup: 'rg-shared-prod'
    audit: false // a policy of the company sends its audit log to the workspace below already
    privateEndpoint: false // there is one in the hub that the app can reach
  }
]

// deploy.sh fills this in from policy.toml; by hand: python3 -m infra.rights derive policy.toml
param grants = [
  {
    grant: 'storage-keys'
    scope: '/subscriptions/22222222-2222-2222-2222-222222222222/resourceGroups/rg-orders-prod'
  }
  {
    grant: 'app-settings' // of `refresh`: who is asked to take a new version
    scope: '/subscriptions/22222222-2222-2222-2222-222222222222/resourceGroups/rg-orders-prod/providers/microsoft.web/sites/orders-web'
  }
  {
    grant: 'app-settings-slot'
    scope: '/subscriptions/22222222-2222-2222-2222-222222222222/resourceGroups/rg-orders-prod/providers/microsoft.web/sites/orders-web/slots/next'
  }
  {
    grant: 'container-app'
    scope: '/subscriptions/22222222-2222-2222-2222-222222222222/resourceGroups/rg-orders-prod/providers/microsoft.app/containerapps/orders-api'
  }
  {
    grant: 'aks'
    scope: '/subscriptions/22222222-2222-2222-2222-222222222222/resourceGroups/rg-orders-prod/providers/microsoft.containerservice/managedclusters/aks-orders'
  }
]

param httpAuth = 'entra'
param entraClientId = readEnvironmentVariable('KEYTURN_CLIENT_ID', '')
param allowedClients = [
  '33333333-3333-3333-3333-333333333333' // the client that operators call by; az itself is 04b07795-8ddb-461a-bbee-02f9e1bf7b46
]

param network = {
  appSubnetId: '/subscriptions/22222222-2222-2222-2222-222222222222/resourceGroups/rg-network/providers/Microsoft.Network/virtualNetworks/vnet-prod/subnets/snet-keyturn'
  endpointSubnetId: '/subscriptions/22222222-2222-2222-2222-222222222222/resourceGroups/rg-network/providers/Microsoft.Network/virtualNetworks/vnet-prod/subnets/snet-endpoints'
  zones: {
    blob: '/subscriptions/22222222-2222-2222-2222-222222222222/resourceGroups/rg-dns/providers/Microsoft.Network/privateDnsZones/privatelink.blob.core.windows.net'
    queue: '/subscriptions/22222222-2222-2222-2222-222222222222/resourceGroups/rg-dns/providers/Microsoft.Network/privateDnsZones/privatelink.queue.core.windows.net'
    vault: '/subscriptions/22222222-2222-2222-2222-222222222222/resourceGroups/rg-dns/providers/Microsoft.Network/privateDnsZones/privatelink.vaultcore.azure.net'
    sites: '/subscriptions/22222222-2222-2222-2222-222222222222/resourceGroups/rg-dns/providers/Microsoft.Network/privateDnsZones/privatelink.azurewebsites.net'
    topic: '/subscriptions/22222222-2222-2222-2222-222222222222/resourceGroups/rg-dns/providers/Microsoft.Network/privateDnsZones/privatelink.eventgrid.azure.net'
  }
}
param allowedAddresses = ['203.0.113.0/28'] // the agents that deploy

param workspaceId = '/subscriptions/22222222-2222-2222-2222-222222222222/resourceGroups/rg-logs/providers/Microsoft.OperationalInsights/workspaces/log-prod'
param auditReaders = true // who still holds an old value: GET …/readers, and rules with retire = "when-unread"
param actionGroupIds = [
  '/subscriptions/22222222-2222-2222-2222-222222222222/resourceGroups/rg-logs/providers/Microsoft.Insights/actionGroups/ag-oncall'
]

param hostStorageSku = 'Standard_ZRS'
param ledgerStorageSku = 'Standard_GZRS'
param ledgerImmutableDays = 365

param alwaysReady = [
  {
    name: 'function:rotate'
    instanceCount: 2 // with zones there are two at least
  }
]
param maximumInstances = 100
param zoneRedundant = true
