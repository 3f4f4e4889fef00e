metadata description = 'A vault\'s Event Grid system topic. There can be one only for each vault. Dead letters are written by its own identity.'

@description('The topic\'s name.')
param name string

@description('The vault\'s name.')
param vaultName string

@description('The vault\'s region.')
param location string

@description('Tags.')
param tags object

resource vault 'Microsoft.KeyVault/vaults@2024-11-01' existing = {
  name: vaultName
}

resource topic 'Microsoft.EventGrid/systemTopics@2025-02-15' = {
  name: name
  location: location
  tags: tags
  identity: {
    type: 'SystemAssigned'
  }
  properties: {
    source: vault.id
    topicType: 'Microsoft.KeyVault.vaults'
  }
}
