metadata description = 'The workbook: what was rotated, what will be, who touched which secret, and each rotation\'s story.'

@description('The app\'s name.')
param name string

@description('Region.')
param location string

@description('Tags.')
param tags object

@description('The workspace that it asks.')
param workspaceId string

resource workbook 'Microsoft.Insights/workbooks@2023-06-01' = {
  name: guid(resourceGroup().id, name, 'workbook')
  location: location
  tags: tags
  kind: 'shared'
  properties: {
    displayName: 'Keyturn (${name})'
    category: 'workbook'
    sourceId: workspaceId
    version: '1.0'
    serializedData: loadTextContent('../workbook.json')
  }
}
