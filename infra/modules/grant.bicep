metadata description = 'One role for one identity in one place. Bicep takes the place as a typed resource only: hence a block for each type.'

@description('The id of this resource group, or of a resource in it.')
param target string

@description('The role definition\'s GUID.')
param roleId string

@description('Who gets it.')
param principalId string

var parts = split(toLower(target), '/')
var type = length(parts) > 8 ? '${parts[6]}/${parts[7]}' : ''
var isContainer = type == 'microsoft.storage/storageaccounts' && length(parts) > 12
var resourceName = length(parts) > 8 ? parts[8] : '-'

var name = guid(toLower(target), roleId, principalId)
var grant = {
  principalId: principalId
  principalType: 'ServicePrincipal'
  roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roleId)
}

resource onGroup 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (empty(type)) {
  name: name
  properties: grant
}

resource vault 'Microsoft.KeyVault/vaults@2024-11-01' existing = if (type == 'microsoft.keyvault/vaults') {
  name: resourceName
}

resource onVault 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (type == 'microsoft.keyvault/vaults') {
  name: name
  scope: vault
  properties: grant
}

resource account 'Microsoft.Storage/storageAccounts@2024-01-01' existing = if (type == 'microsoft.storage/storageaccounts') {
  name: resourceName
}

resource onAccount 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (type == 'microsoft.storage/storageaccounts' && !isContainer) {
  name: name
  scope: account
  properties: grant
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2024-01-01' existing = if (isContainer) {
  parent: account
  name: 'default'
}

resource container 'Microsoft.Storage/storageAccounts/blobServices/containers@2024-01-01' existing = if (isContainer) {
  parent: blobs
  name: last(parts)
}

resource onContainer 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (isContainer) {
  name: name
  scope: container
  properties: grant
}

resource topic 'Microsoft.EventGrid/topics@2025-02-15' existing = if (type == 'microsoft.eventgrid/topics') {
  name: resourceName
}

resource onTopic 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (type == 'microsoft.eventgrid/topics') {
  name: name
  scope: topic
  properties: grant
}

resource insights 'Microsoft.Insights/components@2020-02-02' existing = if (type == 'microsoft.insights/components') {
  name: resourceName
}

resource onInsights 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (type == 'microsoft.insights/components') {
  name: name
  scope: insights
  properties: grant
}

resource server 'Microsoft.DBforPostgreSQL/flexibleServers@2024-08-01' existing = if (type == 'microsoft.dbforpostgresql/flexibleservers') {
  name: resourceName
}

resource onServer 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (type == 'microsoft.dbforpostgresql/flexibleservers') {
  name: name
  scope: server
  properties: grant
}
