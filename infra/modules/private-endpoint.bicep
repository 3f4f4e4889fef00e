metadata description = 'One private endpoint, with the DNS record that leads to it.'

@description('The endpoint\'s name.')
param name string

@description('Region of the subnet.')
param location string

@description('Tags.')
param tags object

@description('The subnet.')
param subnetId string

@description('The resource that it leads to.')
param targetId string

@description('Which of the resource\'s services: blob, queue, vault, sites, topic.')
param groupId string

@description('The private DNS zone.')
param zoneId string

resource endpoint 'Microsoft.Network/privateEndpoints@2024-05-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    subnet: {
      id: subnetId
    }
    customNetworkInterfaceName: 'nic-${name}'
    privateLinkServiceConnections: [
      {
        name: name
        properties: {
          privateLinkServiceId: targetId
          groupIds: [groupId]
        }
      }
    ]
  }
}

resource record 'Microsoft.Network/privateEndpoints/privateDnsZoneGroups@2024-05-01' = {
  parent: endpoint
  name: 'default'
  properties: {
    privateDnsZoneConfigs: [
      {
        name: groupId
        properties: {
          privateDnsZoneId: zoneId
        }
      }
    ]
  }
}
