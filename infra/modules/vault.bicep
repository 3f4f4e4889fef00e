metadata description = 'A new vault: rights by roles, and nothing in it can be destroyed before its time.'

@description('The vault\'s name.')
param name string

@description('Region.')
param location string

@description('Tags.')
param tags object

@description('true: only private endpoints, and Azure\'s trusted services, reach it.')
param closed bool

resource vault 'Microsoft.KeyVault/vaults@2024-11-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    tenantId: tenant().tenantId
    sku: {
      family: 'A'
      name: 'standard'
    }
    enableRbacAuthorization: true
    enableSoftDelete: true
    softDeleteRetentionInDays: 90
    enablePurgeProtection: true
    publicNetworkAccess: closed ? 'Disabled' : 'Enabled'
    networkAcls: {
      defaultAction: closed ? 'Deny' : 'Allow'
      bypass: 'AzureServices'
    }
  }
}
