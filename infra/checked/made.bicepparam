// For `make bicep` alone: what neither example has. Everything that can be made is made: vault, network, zones, action group.
using '../main.bicep'

param name = 'keyturn-made'
param vaults = [
  {
    name: 'kv-made'
    create: true
  }
]
param grants = [
  {
    grant: 'storage-keys'
    scope: '/subscriptions/00000000-0000-0000-0000-00000000000a/resourceGroups/rg-orders/providers/Microsoft.Storage/storageAccounts/storders'
  }
  {
    grant: 'postgres-server'
    scope: '/subscriptions/00000000-0000-0000-0000-00000000000a/resourceGroups/rg-orders/providers/Microsoft.DBforPostgreSQL/flexibleServers/pg-orders'
  }
  {
    grant: 'service-bus-keys'
    scope: '/subscriptions/00000000-0000-0000-0000-00000000000a/resourceGroups/rg-orders/providers/Microsoft.ServiceBus/namespaces/sb-orders/authorizationRules/sender'
  }
  {
    grant: 'service-bus-namespaces'
    scope: '/subscriptions/00000000-0000-0000-0000-00000000000a/resourceGroups/rg-orders/providers/Microsoft.ServiceBus/namespaces/sb-orders'
  }
  {
    grant: 'cosmos-keys'
    scope: '/subscriptions/00000000-0000-0000-0000-00000000000a/resourceGroups/rg-orders/providers/Microsoft.DocumentDB/databaseAccounts/orders'
  }
  {
    grant: 'mysql-server'
    scope: '/subscriptions/00000000-0000-0000-0000-00000000000a/resourceGroups/rg-orders/providers/Microsoft.DBforMySQL/flexibleServers/my-orders'
  }
]
param httpAuth = 'key'
param outcomeTopic = false
param auditReaders = true
param network = {}
param alertEmails = ['ops@example.com']
