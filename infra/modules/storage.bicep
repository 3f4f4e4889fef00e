metadata description = 'A storage account that knows identities only, with its containers and queues.'

import { containerType } from 'types.bicep'

@description('The account\'s name, unique in the world.')
param name string

@description('Region.')
param location string

@description('Tags.')
param tags object

@description('Redundancy.')
@allowed(['Standard_LRS', 'Standard_ZRS', 'Standard_GRS', 'Standard_GZRS', 'Standard_RAGRS', 'Standard_RAGZRS'])
param sku string

@description('The blob containers.')
param containers containerType[]

@description('The queues.')
param queues string[]

@description('true: only private endpoints reach it, and Azure\'s trusted services where those are let in.')
param closed bool

@description('true: Azure\'s trusted services are let in where it is closed. Event Grid writes dead letters that way.')
param trustedServices bool

@description('A prefix (container, or container/path) of blobs that are deleted after 30 days. Empty: nothing is.')
param expiringPrefix string

@description('The Log Analytics workspace that hears of every write and deletion. Empty: none does.')
param workspaceId string

resource account 'Microsoft.Storage/storageAccounts@2024-01-01' = {
  name: name
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: {
    name: sku
  }
  properties: {
    accessTier: 'Hot'
    allowBlobPublicAccess: false
    allowCrossTenantReplication: false
    allowSharedKeyAccess: false
    allowedCopyScope: 'AAD'
    defaultToOAuthAuthentication: true
    isLocalUserEnabled: false
    minimumTlsVersion: 'TLS1_2'
    publicNetworkAccess: closed && !trustedServices ? 'Disabled' : 'Enabled'
    supportsHttpsTrafficOnly: true
    encryption: {
      keySource: 'Microsoft.Storage'
      requireInfrastructureEncryption: true
      services: {
        blob: {
          enabled: true
          keyType: 'Account'
        }
        queue: {
          enabled: true
          keyType: 'Account'
        }
      }
    }
    networkAcls: {
      defaultAction: closed ? 'Deny' : 'Allow'
      bypass: trustedServices ? 'AzureServices' : 'None'
    }
  }
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2024-01-01' = {
  parent: account
  name: 'default'
  properties: {
    isVersioningEnabled: true
    deleteRetentionPolicy: {
      enabled: true
      days: 14
    }
    containerDeleteRetentionPolicy: {
      enabled: true
      days: 14
    }
  }
}

resource blobContainers 'Microsoft.Storage/storageAccounts/blobServices/containers@2024-01-01' = [
  for container in containers: {
    parent: blobs
    name: container.name
    properties: {
      publicAccess: 'None'
    }
  }
]

// Not locked: an unlocked policy can be lengthened, shortened and taken away by an owner. Locking it is an act of its own,
// which can't be undone: `az storage container immutability-policy lock`.
resource immutability 'Microsoft.Storage/storageAccounts/blobServices/containers/immutabilityPolicies@2024-01-01' = [
  for (container, i) in containers: if (container.immutableDays > 0) {
    parent: blobContainers[i]
    name: 'default'
    properties: {
      immutabilityPeriodSinceCreationInDays: container.immutableDays
      allowProtectedAppendWrites: true
    }
  }
]

resource queueService 'Microsoft.Storage/storageAccounts/queueServices@2024-01-01' = {
  parent: account
  name: 'default'
}

resource accountQueues 'Microsoft.Storage/storageAccounts/queueServices/queues@2024-01-01' = [
  for queue in queues: {
    parent: queueService
    name: queue
  }
]

resource expiry 'Microsoft.Storage/storageAccounts/managementPolicies@2024-01-01' = if (!empty(expiringPrefix)) {
  parent: account
  name: 'default'
  properties: {
    policy: {
      rules: [
        {
          name: 'expire'
          type: 'Lifecycle'
          enabled: true
          definition: {
            filters: {
              blobTypes: ['blockBlob']
              prefixMatch: [expiringPrefix]
            }
            actions: {
              baseBlob: {
                delete: {
                  daysAfterModificationGreaterThan: 30
                }
              }
              version: {
                delete: {
                  daysAfterCreationGreaterThan: 30
                }
              }
            }
          }
        }
      ]
    }
  }
}

resource audit 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = if (!empty(workspaceId)) {
  name: 'keyturn'
  scope: blobs
  properties: {
    workspaceId: workspaceId
    logs: [
      {
        category: 'StorageWrite'
        enabled: true
      }
      {
        category: 'StorageDelete'
        enabled: true
      }
    ]
  }
}

@description('The account\'s id.')
output id string = account.id

@description('The account\'s name.')
output name string = account.name
