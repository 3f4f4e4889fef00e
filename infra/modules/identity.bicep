metadata description = 'The identity that the app has everywhere: it has no key, password or connection string.'

import { idPart } from 'types.bicep'

@description('The identity\'s name, where it is made here.')
param name string

@description('Region.')
param location string

@description('Tags.')
param tags object

@description('The id of an identity that is there already. Empty: make one.')
param existingId string

resource made 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = if (empty(existingId)) {
  name: name
  location: location
  tags: tags
}

resource known 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' existing = if (!empty(existingId)) {
  name: idPart(existingId, 8, name)
  scope: resourceGroup(
    idPart(existingId, 2, subscription().subscriptionId),
    idPart(existingId, 4, resourceGroup().name)
  )
}

@description('Its resource id.')
output id string = empty(existingId) ? made.id : existingId

@description('What settings name it by.')
output clientId string = empty(existingId) ? made!.properties.clientId : known!.properties.clientId

@description('What role assignments name it by.')
output principalId string = empty(existingId) ? made!.properties.principalId : known!.properties.principalId
