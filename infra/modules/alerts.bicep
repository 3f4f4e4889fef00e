metadata description = 'Log alerts: each fires when its query has a row. What they ask is in queries/, their numbers are in alerts.json.'

@description('The base of names.')
param name string

@description('Region of the workspace.')
param location string

@description('Tags.')
param tags object

@description('The workspace that is asked.')
param workspaceId string

@description('Whom they tell.')
param actionGroupIds string[]

var logAlerts = loadJsonContent('../alerts.json').logAlerts
var queries = {
  'denied-or-tags-lost': loadTextContent('../queries/denied-or-tags-lost.kql')
  'expiring-unrotated': loadTextContent('../queries/expiring-unrotated.kql')
  'failed-rotations': loadTextContent('../queries/failed-rotations.kql')
  'no-sweep': loadTextContent('../queries/no-sweep.kql')
  'poison-messages': loadTextContent('../queries/poison-messages.kql')
  'refreshes-given-up': loadTextContent('../queries/refreshes-given-up.kql')
  'vault-refusals': loadTextContent('../queries/vault-refusals.kql')
}

resource rules 'Microsoft.Insights/scheduledQueryRules@2022-06-15' = [
  for alert in logAlerts: {
    name: '${name}-${alert.name}'
    location: location
    tags: tags
    kind: 'LogAlert'
    properties: {
      displayName: '${name}: ${alert.name}'
      description: alert.description
      severity: alert.severity
      enabled: true
      scopes: [workspaceId]
      evaluationFrequency: alert.evaluationFrequency
      windowSize: alert.windowSize
      autoMitigate: true
      skipQueryValidation: true // a table is there only once its first row is
      criteria: {
        allOf: [
          {
            query: queries[alert.name]
            timeAggregation: 'Count'
            operator: 'GreaterThan'
            threshold: 0
            dimensions: map(alert.dimensions, column => {
              name: column
              operator: 'Include'
              values: ['*']
            })
            failingPeriods: {
              numberOfEvaluationPeriods: 1
              minFailingPeriodsToAlert: 1
            }
          }
        ]
      }
      actions: {
        actionGroups: actionGroupIds
      }
    }
  }
]
