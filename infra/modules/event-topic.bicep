metadata description = 'A vault\'s Event Grid system topic, by whose own identity dead letters are written, and the alerts on it.'

@description('The vault\'s name.')
param vaultName string

@description('The vault\'s region.')
param location string

@description('Tags.')
param tags object

@description('The name of a system topic that the vault has already. Empty: make one.')
param existingName string

@description('The workspace that hears of deliveries that failed.')
param workspaceId string

@description('Whom alerts tell.')
param actionGroupIds string[]

var metricAlerts = loadJsonContent('../alerts.json').metricAlerts

resource vault 'Microsoft.KeyVault/vaults@2024-11-01' existing = {
  name: vaultName
}

resource made 'Microsoft.EventGrid/systemTopics@2025-02-15' = if (empty(existingName)) {
  name: 'evgst-${vaultName}'
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

resource known 'Microsoft.EventGrid/systemTopics@2025-02-15' existing = {
  name: empty(existingName) ? 'evgst-${vaultName}' : existingName
}

resource failures 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'keyturn'
  scope: known
  dependsOn: [made]
  properties: {
    workspaceId: workspaceId
    logs: [
      {
        category: 'DeliveryFailures'
        enabled: true
      }
    ]
  }
}

resource alerts 'Microsoft.Insights/metricAlerts@2018-03-01' = [
  for alert in metricAlerts: {
    name: 'keyturn-${vaultName}-${alert.name}'
    location: 'global'
    tags: tags
    dependsOn: [made]
    properties: {
      description: alert.description
      severity: alert.severity
      enabled: true
      scopes: [known.id]
      evaluationFrequency: alert.evaluationFrequency
      windowSize: alert.windowSize
      autoMitigate: true
      criteria: {
        'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
        allOf: [
          {
            criterionType: 'StaticThresholdCriterion'
            name: alert.name
            metricNamespace: 'Microsoft.EventGrid/systemTopics'
            metricName: alert.metric
            operator: 'GreaterThan'
            threshold: 0
            timeAggregation: 'Total'
          }
        ]
      }
      actions: [
        for id in actionGroupIds: {
          actionGroupId: id
        }
      ]
    }
  }
]

@description('The topic\'s name.')
output name string = known.name

@description('The topic\'s own identity.')
output principalId string = empty(existingName) ? made!.identity.principalId : known.identity.principalId
