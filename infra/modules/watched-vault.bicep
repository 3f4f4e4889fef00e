metadata description = 'One vault: made where it is not there yet, audited, with an Event Grid topic that is watched.'

@description('The vault\'s name.')
param name string

@description('The vault\'s region.')
param location string

@description('Tags of what is made.')
param tags object

@description('true: make the vault.')
param create bool

@description('true: a vault that is made is reached through private endpoints only.')
param closed bool

@description('The system topic that the vault has already. Empty: make one.')
param topicName string

@description('true: the vault\'s audit log is sent to the workspace.')
param audit bool

@description('The workspace that hears who read and wrote, and of events that were not delivered.')
param workspaceId string

@description('Whom alerts tell.')
param actionGroupIds string[]

var topic = empty(topicName) ? 'evgst-${name}' : topicName

module vault 'vault.bicep' = if (create) {
  name: 'keyturn-${name}'
  params: {
    name: name
    location: location
    tags: tags
    closed: closed
  }
}

module auditLog 'vault-audit.bicep' = if (audit) {
  name: 'keyturn-${name}-audit'
  dependsOn: [vault]
  params: {
    vaultName: name
    workspaceId: workspaceId
  }
}

module events 'event-topic.bicep' = if (empty(topicName)) {
  name: 'keyturn-${name}-events'
  dependsOn: [vault]
  params: {
    name: topic
    vaultName: name
    location: location
    tags: tags
  }
}

module eventsWatch 'event-topic-watch.bicep' = {
  name: 'keyturn-${name}-events-watch'
  dependsOn: [events]
  params: {
    vaultName: name
    topicName: topic
    tags: tags
    workspaceId: workspaceId
    actionGroupIds: actionGroupIds
  }
}

@description('The name of the vault\'s system topic.')
output topicName string = topic

@description('The topic\'s own identity.')
output topicPrincipalId string = eventsWatch.outputs.principalId
