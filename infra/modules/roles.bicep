metadata description = 'Every right that anything here has: the custom roles, and one loop over the table in roles.json.'

targetScope = 'subscription'

import { targetType } from 'types.bicep'

@description('The app\'s name: custom roles\' names are unique in a tenant.')
param name string

@description('The app\'s identity.')
param principalId string

@description('The identities of the vaults\' Event Grid topics.')
param topicPrincipalIds string[]

@description('The resource ids in each kind of place that the table knows.')
param places object

@description('The rights on targets of the policy, as infra/rights derives them.')
param targets targetType[]

var table = loadJsonContent('../roles.json')

// One element for each right: a row of the table, on each of the places that it is for.
var appRights = flatten(map(
  table.grants,
  row =>
    map(
      row.scope == 'target'
        ? map(filter(targets, target => target.grant == row.key), target => target.scope)
        : places[row.scope],
      id => { row: row, id: id, principalId: principalId }
    )
))
var topicRights = flatten(map(
  table.eventGrid,
  row =>
    flatten(map(places[row.scope], id => map(topicPrincipalIds, topic => { row: row, id: id, principalId: topic })))
))
var rights = concat(appRights, topicRights)

var customRoles = union([], map(filter(rights, right => !empty(right.row.?customRole)), right => right.row.?customRole))
var subscriptions = union(array(subscription().id), map(rights, right => '/subscriptions/${split(right.id, '/')[2]}'))

resource definitions 'Microsoft.Authorization/roleDefinitions@2022-04-01' = [
  for key in customRoles: {
    name: guid(subscription().id, name, key)
    properties: {
      roleName: '${table.customRoles[key].roleName} (${name})'
      description: table.customRoles[key].description
      type: 'CustomRole'
      permissions: [
        {
          actions: table.customRoles[key].actions
          notActions: []
          dataActions: table.customRoles[key].dataActions
          notDataActions: []
        }
      ]
      assignableScopes: subscriptions
    }
  }
]

module assignments 'grant.json' = [
  for right in rights: {
    name: '${name}-grant-${uniqueString(right.row.key, right.id, right.principalId)}'
    scope: resourceGroup(split(right.id, '/')[2], split(right.id, '/')[4])
    dependsOn: [definitions]
    params: {
      target: right.id
      roleId: right.row.?roleId ?? guid(subscription().id, name, right.row.?customRole ?? '')
      principalId: right.principalId
    }
  }
]
