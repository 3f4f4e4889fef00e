metadata description = 'The shapes of parameters that more than one file speaks of.'

@export()
@description('A vault to look after.')
type vaultType = {
  @description('Its short name, the first part of its host name.')
  name: string

  @description('The resource group it is in. Default: that of the app.')
  resourceGroup: string?

  @description('The subscription it is in. Default: that of the deployment.')
  subscriptionId: string?

  @description('Its region, which its Event Grid system topic has to share. Default: that of the app.')
  location: string?

  @description('true: make the vault. Default: it is there already, and its settings stay: it gets a diagnostic setting, a topic with its alerts, and a right.')
  create: bool?

  @description('The name of the vault\'s system topic where it has one already (there can be one only), in the vault\'s resource group, with a system-assigned identity.')
  topicName: string?

  @description('false: its audit log goes to the workspace already; Azure takes one log into one workspace once. Default: true.')
  audit: bool?

  @description('false: no private endpoint for this vault, since it has one that the app can reach. Default: true in a private network.')
  privateEndpoint: bool?
}

@export()
@description('Instances that are always there. Flex Consumption scales the HTTP functions together and every other one by itself.')
type alwaysReadyType = {
  @description('"http", or "function:" and a function\'s name, such as "function:rotate".')
  name: string

  @description('How many.')
  instanceCount: int
}

@export()
@description('A private network. All of it is optional: {} makes everything.')
type networkType = {
  @description('Addresses of the network to make, of at least 128. Default: 10.80.0.0/24.')
  addressPrefix: string?

  @description('An existing subnet for the app, delegated to Microsoft.App/environments and used by nothing else. Goes with endpointSubnetId.')
  appSubnetId: string?

  @description('An existing subnet for private endpoints.')
  endpointSubnetId: string?

  @description('Existing private DNS zones, linked to that network. Absent: zones are made, in the app\'s resource group.')
  zones: zonesType?
}

@export()
@description('The resource ids of private DNS zones.')
type zonesType = {
  @description('privatelink.blob.…')
  blob: string

  @description('privatelink.queue.…')
  queue: string

  @description('privatelink.vaultcore.…')
  vault: string

  @description('privatelink.azurewebsites.…')
  sites: string

  @description('privatelink.eventgrid.…')
  topic: string
}

@export()
@description('One right on one target of the policy, as `python -m infra.rights derive` prints it under "grants".')
type targetType = {
  @description('The key of a grant in roles.json.')
  grant: string

  @description('The id of the resource, or of the resource group.')
  scope: string
}

@export()
@description('A blob container.')
type containerType = {
  @description('Its name.')
  name: string

  @description('For how many days what is written can\'t be changed or deleted, by anybody; appending stays possible. 0: no such rule.')
  immutableDays: int
}

@export()
@description('The element of a resource id, or what to take where the id is empty.')
func idPart(id string, index int, otherwise string) string => empty(id) ? otherwise : split(id, '/')[index]
