metadata description = 'Keyturn: everything but the code and the event subscription, which needs the code (subscription.bicep).'

targetScope = 'subscription'

import { alwaysReadyType, networkType, targetType, vaultType } from 'modules/types.bicep'

// ---- What is asked for -------------------------------------------------------------------------------------------------

@description('The base of all names: lower-case letters, digits and hyphens.')
@minLength(3)
@maxLength(17)
param name string

@description('Region of everything that is made here.')
param location string = deployment().location

@description('The app\'s resource group; made here, or there already.')
param resourceGroupName string = 'rg-${name}'

@description('Tags of everything that is made here.')
param tags object = {}

@description('The tags that the resource group has, where it is there already: deploy.sh looks, so that they stay.')
param resourceGroupTags object = {}

@description('The vaults to look after, in any resource group and subscription of the tenant. Nothing else is ever touched.')
@minLength(1)
param vaults vaultType[]

@description('The rights that the policy asks for beyond the vaults: what `python -m infra.rights derive` prints under "grants".')
param grants targetType[] = []

@description('What stands in front of the HTTP functions: App Service authentication, or function keys alone.')
@allowed(['entra', 'key'])
param httpAuth string = 'entra'

@description('The client id of the app registration that callers get tokens for, with the roles in app-roles.json. httpAuth "entra" needs it.')
param entraClientId string = ''

@description('The clients whose tokens are let in. Empty: any of the tenant; a caller needs an app role all the same.')
param allowedClients string[] = []

@description('When every vault is read: NCRONTAB, seconds first. Default: every hour; the alerts take it to be no rarer.')
param sweepSchedule string = '0 0 * * * *'

@description('How many new versions an instance writes to one vault in ten seconds at most; Key Vault takes 300 of all its writers.')
@minValue(10)
param vaultCreations int = 290

@description('How many connections an instance has to one database server at most.')
@minValue(1)
param serverConnections int = 8

@description('For `refresh` in the policy: where GitHub\'s REST API is, such as https://HOST/api/v3 of a GitHub Enterprise Server. Empty: github.com.')
param githubEndpoint string = ''

@description('true: a topic hears of each outcome.')
param outcomeTopic bool = true

@description('false: somebody else makes roles and assigns them; infra/rights says which.')
param createRoles bool = true

@description('The id of a user-assigned identity that is there already. Empty: make one.')
param identityId string = ''

@description('The id of a Log Analytics workspace that is there already. Empty: make one.')
param workspaceId string = ''

@description('true: the app may read the vaults\' audit log in the workspace, to say who still holds an old value. infra/deploy.sh sets it where a rule of the policy says retire = "when-unread".')
param auditReaders bool = false

@description('How many days logs are kept, in a workspace that is made here.')
@minValue(30)
@maxValue(730)
param logRetentionDays int = 90

@description('For how many days no line of the ledger can be changed or deleted by anybody. 0: no such rule.')
@minValue(0)
@maxValue(146000)
param ledgerImmutableDays int = 0

@description('Redundancy of the storage of the app: its package, its queue, dead letters.')
param hostStorageSku string = 'Standard_LRS'

@description('Redundancy of the ledger\'s storage. Not every region has zones (ZRS).')
param ledgerStorageSku string = 'Standard_ZRS'

@description('Instances that are always there. Empty: none, and a rotation may wait some seconds for a cold start.')
param alwaysReady alwaysReadyType[] = []

@description('How many instances each group of functions has at most (all of HTTP are one, and each other function): the bound on what one mass rotation does at once. Some regions refuse less than 40.')
@minValue(1)
@maxValue(1000)
param maximumInstances int = 40

@description('Memory of an instance in MB.')
@allowed([512, 2048, 4096])
param instanceMemoryMB int = 2048

@description('true: the plan is spread over zones, and Azure keeps two instances of each group of functions always ready, and bills them. Not in every region.')
param zoneRedundant bool = false

@description('A private network. Absent: none, and everything is reached over public endpoints, by identities alone.')
param network networkType?

@description('Address ranges that reach the app from the internet where there is a private network, such as 203.0.113.0/24.')
param allowedAddresses string[] = []

@description('Mail addresses that alerts are sent to.')
param alertEmails string[] = []

@description('Action groups that are there already.')
param actionGroupIds string[] = []

// ---- What follows from it ----------------------------------------------------------------------------------------------

// infra/destroy.sh takes away what has this tag, and nothing else.
var tagged = union(tags, { keyturn: name })
var token = uniqueString(subscription().id, resourceGroupName, name)
var short = take(replace(name, '-', ''), 8)
var appName = 'func-${name}-${take(token, 6)}'
var hostAccount = 'st${short}${token}'
var ledgerAccount = 'stl${short}${token}'
var ledgerContainer = 'ledger'
var deploymentContainer = 'packages'
var deadLetterContainer = 'dead-letters'
var topicName = 'evgt-${name}-${take(token, 6)}'
var workspaceName = 'log-${name}'
var insightsName = 'appi-${name}'
var closed = network != null
var clientId = httpAuth == 'entra' && empty(entraClientId)
  ? fail('entraClientId is missing: make an app registration with infra/app-roles.json, or set httpAuth to key')
  : entraClientId
var cloud = loadJsonContent('clouds.json')[environment().name]

// Every vault, with what was left out filled in.
var allVaults = map(vaults, vault => {
  name: toLower(vault.name)
  id: '/subscriptions/${vault.?subscriptionId ?? subscription().subscriptionId}/resourceGroups/${vault.?resourceGroup ?? resourceGroupName}/providers/Microsoft.KeyVault/vaults/${toLower(vault.name)}'
  subscriptionId: vault.?subscriptionId ?? subscription().subscriptionId
  resourceGroup: vault.?resourceGroup ?? resourceGroupName
  location: vault.?location ?? location
  create: vault.?create ?? false
  topicName: vault.?topicName ?? ''
  audit: vault.?audit ?? true
  privateEndpoint: vault.?privateEndpoint ?? true
})

// What roles are given on: the scopes in roles.json, with the ids of the resources there.
var home = '${subscription().id}/resourceGroups/${resourceGroupName}/providers'
var hostStorageId = '${home}/Microsoft.Storage/storageAccounts/${hostAccount}'
var ledgerStorageId = '${home}/Microsoft.Storage/storageAccounts/${ledgerAccount}'
var topicId = '${home}/Microsoft.EventGrid/topics/${topicName}'
var workspaceResourceId = empty(workspaceId)
  ? '${home}/Microsoft.OperationalInsights/workspaces/${workspaceName}'
  : workspaceId
var places = {
  vault: map(allVaults, vault => vault.id)
  ledgerContainer: ['${ledgerStorageId}/blobServices/default/containers/${ledgerContainer}']
  hostStorage: [hostStorageId]
  deploymentContainer: [] // in the host's account, which the host owns
  deadLetterContainer: ['${hostStorageId}/blobServices/default/containers/${deadLetterContainer}']
  outcomeTopic: outcomeTopic ? [topicId] : []
  applicationInsights: ['${home}/Microsoft.Insights/components/${insightsName}']
  workspace: auditReaders ? [workspaceResourceId] : []
}

// What the app reaches, and is reached, by inside a private network.
var endpoints = !closed
  ? []
  : concat(
      [
        { name: 'pe-${hostAccount}-blob', target: hostStorageId, service: 'blob' }
        { name: 'pe-${ledgerAccount}', target: ledgerStorageId, service: 'blob' }
        { name: 'pe-${appName}', target: '${home}/Microsoft.Web/sites/${appName}', service: 'sites' }
      ],
      outcomeTopic ? [{ name: 'pe-${topicName}', target: topicId, service: 'topic' }] : [],
      map(filter(allVaults, vault => vault.privateEndpoint), vault => {
        name: 'pe-${vault.name}'
        target: vault.id
        service: 'vault'
      })
    )

// ---- Contents ----------------------------------------------------------------------------------------------------------

resource group 'Microsoft.Resources/resourceGroups@2025-04-01' = {
  name: resourceGroupName
  location: location
  tags: union(resourceGroupTags, tagged)
}

// Who the app is, everywhere.
module identity 'modules/identity.bicep' = {
  name: '${name}-identity'
  scope: group
  params: {
    name: 'id-${name}'
    location: location
    tags: tagged
    existingId: identityId
  }
}

// Where logs, traces, metrics and the vaults' audit events go.
module monitoring 'modules/monitoring.bicep' = {
  name: '${name}-monitoring'
  scope: group
  params: {
    workspaceName: workspaceName
    insightsName: insightsName
    location: location
    tags: tagged
    existingWorkspaceId: workspaceId
    retentionDays: logRetentionDays
  }
}

// Only where `network` is given.
module privateNetwork 'modules/network.bicep' = if (closed) {
  name: '${name}-network'
  scope: group
  params: {
    name: name
    location: location
    tags: tagged
    network: network ?? {}
    zoneNames: {
      blob: 'privatelink.blob.${environment().suffixes.storage}'
      queue: 'privatelink.queue.${environment().suffixes.storage}'
      vault: 'privatelink${replace(environment().suffixes.keyvaultDns, '.vault.', '.vaultcore.')}'
      sites: cloud.sitesZone
      topic: cloud.topicZone
    }
  }
}

// What the Functions host lives in: the package, the queue, dead letters.
module hostStorage 'modules/storage.bicep' = {
  name: '${name}-host-storage'
  scope: group
  params: {
    name: hostAccount
    location: location
    tags: tagged
    sku: hostStorageSku
    containers: [
      { name: deploymentContainer, immutableDays: 0 }
      { name: deadLetterContainer, immutableDays: 0 }
    ]
    queues: ['rotation-requests', 'rotation-requests-poison']
    closed: closed
    trustedServices: true
    expiringPrefix: '${deadLetterContainer}/'
    workspaceId: ''
  }
}

// An account of its own: the host's identity owns all of the host's account, and must not be able to delete the ledger.
module ledgerStorage 'modules/storage.bicep' = {
  name: '${name}-ledger-storage'
  scope: group
  dependsOn: [monitoring]
  params: {
    name: ledgerAccount
    location: location
    tags: union(tagged, { 'keyturn-keep': 'ledger' })
    sku: ledgerStorageSku
    containers: [
      { name: ledgerContainer, immutableDays: ledgerImmutableDays }
    ]
    queues: []
    closed: closed
    trustedServices: false
    expiringPrefix: ''
    workspaceId: workspaceResourceId // by its name, which is known at the start: the module has a condition on it
  }
}

// Whom alerts tell.
module actionGroup 'modules/action-group.bicep' = {
  name: '${name}-action-group'
  scope: group
  params: {
    name: name
    tags: tagged
    emails: alertEmails
    existingIds: actionGroupIds
  }
}

// Each vault: made where asked for, audited, with the topic of its events.
module watchedVaults 'modules/watched-vault.bicep' = [
  for vault in allVaults: {
    name: '${name}-vault-${uniqueString(vault.id)}'
    scope: resourceGroup(vault.subscriptionId, vault.resourceGroup)
    params: {
      name: vault.name
      location: vault.location
      tags: tagged
      create: vault.create
      closed: closed
      topicName: vault.topicName
      audit: vault.audit
      workspaceId: monitoring.outputs.workspaceId
      actionGroupIds: actionGroup.outputs.ids
    }
  }
]

// Where each outcome is told.
module outcomes 'modules/outcome-topic.bicep' = if (outcomeTopic) {
  name: '${name}-outcome-topic'
  scope: group
  params: {
    name: topicName
    location: location
    tags: tagged
    closed: closed
  }
}

// Every right of everybody, in one loop over one table.
module roles 'modules/roles.bicep' = if (createRoles) {
  name: '${name}-roles'
  dependsOn: [hostStorage, ledgerStorage, outcomes]
  params: {
    name: name
    principalId: identity.outputs.principalId
    topicPrincipalIds: [for (vault, i) in allVaults: watchedVaults[i].outputs.topicPrincipalId]
    places: places
    targets: grants
  }
}

// The app: its plan, its settings, who reaches it and who is let in.
module app 'modules/function-app.bicep' = {
  name: '${name}-function-app'
  scope: group
  dependsOn: [hostStorage, ledgerStorage, roles]
  params: {
    name: appName
    planName: 'plan-${name}'
    location: location
    tags: tagged
    identityId: identity.outputs.id
    identityClientId: identity.outputs.clientId
    storageAccountName: hostAccount
    deploymentContainer: deploymentContainer
    insightsName: insightsName
    vaultUris: map(allVaults, vault => 'https://${vault.name}${environment().suffixes.keyvaultDns}')
    ledgerUrl: 'https://${ledgerAccount}.blob.${environment().suffixes.storage}/${ledgerContainer}'
    ownAccountIds: [hostStorageId, ledgerStorageId]
    outcomeTopicEndpoint: outcomes.?outputs.endpoint ?? ''
    sweepSchedule: sweepSchedule
    vaultCreations: vaultCreations
    serverConnections: serverConnections
    githubEndpoint: githubEndpoint
    auditWorkspace: auditReaders ? monitoring.outputs.customerId : ''
    graphEndpoint: cloud.graph
    logsEndpoint: cloud.logs
    httpAuth: httpAuth
    entraClientId: clientId
    allowedClients: allowedClients
    alwaysReady: alwaysReady
    maximumInstances: maximumInstances
    instanceMemoryMB: instanceMemoryMB
    zoneRedundant: zoneRedundant
    subnetId: privateNetwork.?outputs.appSubnetId ?? ''
    closed: closed
    allowedAddresses: allowedAddresses
  }
}

// The private ways to all of it, and then the second one to the host's storage: an account takes no two at once.
module privateEndpoints 'modules/private-endpoint.bicep' = [
  for endpoint in endpoints: {
    name: '${name}-${uniqueString(endpoint.name)}'
    scope: group
    dependsOn: [app, hostStorage, ledgerStorage, outcomes, watchedVaults]
    params: {
      name: endpoint.name
      location: location
      tags: tagged
      subnetId: privateNetwork.?outputs.endpointSubnetId ?? ''
      targetId: endpoint.target
      groupId: endpoint.service
      zoneId: privateNetwork.?outputs.zoneIds[endpoint.service] ?? ''
    }
  }
]

module queueEndpoint 'modules/private-endpoint.bicep' = if (closed) {
  name: '${name}-${uniqueString('pe-${hostAccount}-queue')}'
  scope: group
  dependsOn: [privateEndpoints]
  params: {
    name: 'pe-${hostAccount}-queue'
    location: location
    tags: tagged
    subnetId: privateNetwork.?outputs.endpointSubnetId ?? ''
    targetId: hostStorageId
    groupId: 'queue'
    zoneId: privateNetwork.?outputs.zoneIds.queue ?? ''
  }
}

// What wakes somebody.
module alerts 'modules/alerts.bicep' = {
  name: '${name}-alerts'
  scope: group
  params: {
    name: name
    location: location
    tags: tagged
    workspaceId: monitoring.outputs.workspaceId
    actionGroupIds: actionGroup.outputs.ids
  }
}

// What somebody then looks at.
module workbook 'modules/workbook.bicep' = {
  name: '${name}-workbook'
  scope: group
  params: {
    name: name
    location: location
    tags: tagged
    workspaceId: monitoring.outputs.workspaceId
  }
}

// ---- What the next steps need ------------------------------------------------------------------------------------------

@description('The app\'s resource group.')
output RESOURCE_GROUP string = group.name

@description('The region.')
output LOCATION string = location

@description('The function app.')
output FUNCTION_APP_NAME string = appName

@description('Its id.')
output FUNCTION_APP_ID string = app.outputs.id

@description('Its address, without a trailing slash.')
output FUNCTION_APP_URL string = app.outputs.url

@description('The app\'s identity.')
output IDENTITY_ID string = identity.outputs.id

@description('The identity, as settings name it.')
output IDENTITY_CLIENT_ID string = identity.outputs.clientId

@description('The identity, as role assignments name it.')
output IDENTITY_PRINCIPAL_ID string = identity.outputs.principalId

@description('The storage account of package, queue and dead letters.')
output STORAGE_ACCOUNT_NAME string = hostAccount

@description('Its id.')
output STORAGE_ACCOUNT_ID string = hostStorage.outputs.id

@description('The container that dead letters are put into.')
output DEAD_LETTER_CONTAINER string = deadLetterContainer

@description('The ledger, as ROTATION_LEDGER has it.')
output LEDGER_URL string = 'https://${ledgerAccount}.blob.${environment().suffixes.storage}/${ledgerContainer}'

@description('The outcome topic\'s endpoint. Empty: there is none.')
output OUTCOME_TOPIC_ENDPOINT string = outcomes.?outputs.endpoint ?? ''

@description('The Log Analytics workspace.')
output WORKSPACE_ID string = monitoring.outputs.workspaceId

@description('Each vault\'s system topic, as subscription.bicep takes it.')
output TOPICS array = [
  for (vault, i) in allVaults: {
    vault: vault.name
    name: watchedVaults[i].outputs.topicName
    subscriptionId: vault.subscriptionId
    resourceGroup: vault.resourceGroup
  }
]

@description('What rights were given on, and to whom: what `python -m infra.rights check --places` takes.')
output PLACES object = union(places, { principalId: identity.outputs.principalId })
