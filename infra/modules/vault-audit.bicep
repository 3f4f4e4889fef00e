metadata description = 'Who read and wrote which secret when: a vault\'s audit events to Log Analytics.'

@description('The vault\'s name.')
param vaultName string

@description('The workspace.')
param workspaceId string

resource vault 'Microsoft.KeyVault/vaults@2024-11-01' existing = {
  name: vaultName
}

resource audit 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'keyturn'
  scope: vault
  properties: {
    workspaceId: workspaceId
    logAnalyticsDestinationType: 'Dedicated' // the table AZKVAuditLogs, which the queries read
    logs: [
      {
        category: 'AuditEvent'
        enabled: true
      }
    ]
  }
}
