// For `make bicep` alone: the events, which deploy.sh asks for by the outputs of main.bicep.
using '../subscription.bicep'

param name = 'keyturn-keyturn'
param topics = [
  {
    vault: 'kv-orders-prod'
    name: 'evgst-kv-orders-prod'
    subscriptionId: '00000000-0000-0000-0000-00000000000a'
    resourceGroup: 'rg-orders-prod'
  }
  {
    vault: 'kv-billing-prod'
    name: 'evgst-billing'
    subscriptionId: '11111111-1111-1111-1111-111111111111'
    resourceGroup: 'rg-billing-prod'
  }
]
param functionAppId = '/subscriptions/00000000-0000-0000-0000-00000000000a/resourceGroups/rg-keyturn/providers/Microsoft.Web/sites/func-keyturn'
param storageAccountId = '/subscriptions/00000000-0000-0000-0000-00000000000a/resourceGroups/rg-keyturn/providers/Microsoft.Storage/storageAccounts/stkeyturn'
param deadLetterContainer = 'dead-letters'
param subjectBeginsWith = 'orders-'
