metadata description = 'The topic that hears of each outcome, so that anybody can act on it.'

@description('The topic\'s name.')
param name string

@description('Region.')
param location string

@description('Tags.')
param tags object

@description('true: only private endpoints reach it.')
param closed bool

resource topic 'Microsoft.EventGrid/topics@2025-02-15' = {
  name: name
  location: location
  tags: tags
  identity: {
    type: 'SystemAssigned' // for deliveries of your own subscriptions
  }
  properties: {
    inputSchema: 'EventGridSchema'
    disableLocalAuth: true
    minimumTlsVersionAllowed: '1.2'
    publicNetworkAccess: closed ? 'Disabled' : 'Enabled'
  }
}

@description('Where events are sent.')
output endpoint string = topic.properties.endpoint
