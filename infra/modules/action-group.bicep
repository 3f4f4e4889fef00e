metadata description = 'Whom alerts tell.'

@description('The base of names.')
param name string

@description('Tags.')
param tags object

@description('Mail addresses. Empty: no action group is made.')
param emails string[]

@description('Action groups that are there already.')
param existingIds string[]

resource group 'Microsoft.Insights/actionGroups@2023-01-01' = if (!empty(emails)) {
  name: 'ag-${name}'
  location: 'global'
  tags: tags
  properties: {
    enabled: true
    groupShortName: take(name, 12)
    emailReceivers: [
      for (email, i) in emails: {
        name: 'email-${i}'
        emailAddress: email
        useCommonAlertSchema: true
      }
    ]
  }
}

@description('All of them.')
output ids string[] = concat(existingIds, empty(emails) ? [] : [group.id])
