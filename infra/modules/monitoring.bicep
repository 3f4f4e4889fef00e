metadata description = 'Where logs, traces, metrics and the vaults\' audit events go. Only identities write to it.'

import { idPart } from 'types.bicep'

@description('The workspace\'s name, where it is made here.')
param workspaceName string

@description('The name of the Application Insights component.')
param insightsName string

@description('Region.')
param location string

@description('Tags.')
param tags object

@description('The id of a Log Analytics workspace that is there already. Empty: make one.')
param existingWorkspaceId string

@description('How many days logs are kept, in a workspace that is made here.')
param retentionDays int

resource workspace 'Microsoft.OperationalInsights/workspaces@2023-09-01' = if (empty(existingWorkspaceId)) {
  name: workspaceName
  location: location
  tags: tags
  properties: {
    sku: {
      name: 'PerGB2018'
    }
    retentionInDays: retentionDays
    features: {
      disableLocalAuth: true
      enableLogAccessUsingOnlyResourcePermissions: true
    }
  }
}

var workspaceResource = empty(existingWorkspaceId) ? workspace.id : existingWorkspaceId

resource insights 'Microsoft.Insights/components@2020-02-02' = {
  name: insightsName
  location: location
  tags: tags
  kind: 'web'
  properties: {
    Application_Type: 'web'
    IngestionMode: 'LogAnalytics'
    WorkspaceResourceId: workspaceResource
    DisableLocalAuth: true // an instrumentation key alone opens nothing
  }
}

resource there 'Microsoft.OperationalInsights/workspaces@2023-09-01' existing = if (!empty(existingWorkspaceId)) {
  name: idPart(existingWorkspaceId, 8, workspaceName)
  scope: resourceGroup(
    idPart(existingWorkspaceId, 2, subscription().subscriptionId),
    idPart(existingWorkspaceId, 4, resourceGroup().name)
  )
}

@description('The id by which queries name the workspace: a GUID.')
output customerId string = empty(existingWorkspaceId) ? workspace!.properties.customerId : there!.properties.customerId

@description('The workspace\'s id.')
output workspaceId string = workspaceResource
