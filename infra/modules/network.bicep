metadata description = 'A network with a subnet for the app and one for private endpoints, and the DNS zones that lead to these; or those that are there already.'

import { networkType, zonesType } from 'types.bicep'

@description('The base of names.')
param name string

@description('Region.')
param location string

@description('Tags.')
param tags object

@description('What is there already.')
param network networkType

@description('The names of the private DNS zones that Azure resolves these services by.')
param zoneNames zonesType

var makesNetwork = empty(network.?appSubnetId ?? '') || empty(network.?endpointSubnetId ?? '')
var addressPrefix = network.?addressPrefix ?? '10.80.0.0/24'

resource rules 'Microsoft.Network/networkSecurityGroups@2024-05-01' = if (makesNetwork) {
  name: 'nsg-${name}'
  location: location
  tags: tags
}

// The app calls Entra, Graph and Resource Manager on the internet. New networks let nothing out by themselves any more (Microsoft
// Learn, "Default outbound access in Azure"); this way out has an address of its own, which a server's firewall can let in.
resource outboundAddress 'Microsoft.Network/publicIPAddresses@2024-05-01' = if (makesNetwork) {
  name: 'pip-${name}'
  location: location
  tags: tags
  sku: {
    name: 'Standard'
  }
  properties: {
    publicIPAllocationMethod: 'Static'
    publicIPAddressVersion: 'IPv4'
  }
}

resource outbound 'Microsoft.Network/natGateways@2024-05-01' = if (makesNetwork) {
  name: 'nat-${name}'
  location: location
  tags: tags
  sku: {
    name: 'Standard'
  }
  properties: {
    publicIpAddresses: [
      {
        id: outboundAddress.id
      }
    ]
  }
}

resource virtualNetwork 'Microsoft.Network/virtualNetworks@2024-05-01' = if (makesNetwork) {
  name: 'vnet-${name}'
  location: location
  tags: tags
  properties: {
    addressSpace: {
      addressPrefixes: [addressPrefix]
    }
    subnets: [
      {
        name: 'app'
        properties: {
          addressPrefix: cidrSubnet(addressPrefix, 26, 0)
          natGateway: {
            id: outbound.id
          }
          networkSecurityGroup: {
            id: rules.id
          }
          delegations: [
            {
              name: 'flex-consumption'
              properties: {
                serviceName: 'Microsoft.App/environments'
              }
            }
          ]
        }
      }
      {
        name: 'endpoints'
        properties: {
          addressPrefix: cidrSubnet(addressPrefix, 26, 1)
          defaultOutboundAccess: false
          privateEndpointNetworkPolicies: 'NetworkSecurityGroupEnabled'
          networkSecurityGroup: {
            id: rules.id
          }
        }
      }
    ]
  }
}

var networkId = makesNetwork ? virtualNetwork.id : split(network.?endpointSubnetId ?? '', '/subnets/')[0]
var zonesToMake = network.?zones == null ? items(zoneNames) : []

resource zones 'Microsoft.Network/privateDnsZones@2024-06-01' = [
  for zone in zonesToMake: {
    name: zone.value
    location: 'global'
    tags: tags
  }
]

resource links 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2024-06-01' = [
  for (zone, i) in zonesToMake: {
    parent: zones[i]
    name: 'keyturn-${uniqueString(networkId)}'
    location: 'global'
    tags: tags
    properties: {
      registrationEnabled: false
      virtualNetwork: {
        id: networkId
      }
    }
  }
]

@description('The subnet that the app is integrated with.')
output appSubnetId string = makesNetwork ? '${virtualNetwork.id}/subnets/app' : network.?appSubnetId ?? ''

@description('The subnet that private endpoints are in.')
output endpointSubnetId string = makesNetwork
  ? '${virtualNetwork.id}/subnets/endpoints'
  : network.?endpointSubnetId ?? ''

@description('The ids of the DNS zones.')
output zoneIds zonesType = network.?zones ?? {
  blob: resourceId('Microsoft.Network/privateDnsZones', zoneNames.blob)
  queue: resourceId('Microsoft.Network/privateDnsZones', zoneNames.queue)
  vault: resourceId('Microsoft.Network/privateDnsZones', zoneNames.vault)
  sites: resourceId('Microsoft.Network/privateDnsZones', zoneNames.sites)
  topic: resourceId('Microsoft.Network/privateDnsZones', zoneNames.topic)
}
