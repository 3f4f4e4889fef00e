metadata description = 'The function app on Flex Consumption: its settings, who reaches it, and who is let in.'

import { alwaysReadyType } from 'types.bicep'

@description('The app\'s name, unique in the world.')
param name string

@description('The plan\'s name.')
param planName string

@description('Region.')
param location string

@description('Tags.')
param tags object

@description('The app\'s identity.')
param identityId string

@description('The same identity, as settings name it.')
param identityClientId string

@description('The account that the Functions host lives in.')
param storageAccountName string

@description('The container that the package of the app is put into.')
param deploymentContainer string

@description('The Application Insights component.')
param insightsName string

@description('The vaults\' URIs.')
param vaultUris string[]

@description('The ledger\'s container, as a URL.')
param ledgerUrl string

@description('The ids of the storage accounts that the app lives on: no rule of its policy may cover them.')
param ownAccountIds string[]

@description('The outcome topic. Empty: none.')
param outcomeTopicEndpoint string

@description('When the sweep runs: NCRONTAB, seconds first.')
param sweepSchedule string

@description('How many new versions an instance writes to one vault in ten seconds at most.')
param vaultCreations int

@description('How many connections an instance has to one database server at most.')
param serverConnections int

@description('GitHub\'s REST API, for `refresh` in the policy. Empty: that of github.com.')
param githubEndpoint string

@description('The Log Analytics workspace that is asked who reads a secret, by its GUID. Empty: none is.')
param auditWorkspace string

@description('Log Analytics\' query API in this cloud.')
param logsEndpoint string

@description('Microsoft Graph in this cloud.')
param graphEndpoint string

@description('What stands in front of the HTTP functions: App Service authentication, or function keys alone.')
@allowed(['entra', 'key'])
param httpAuth string

@description('The app registration that tokens are for.')
param entraClientId string

@description('The clients whose tokens are let in. Empty: any of the tenant.')
param allowedClients string[]

@description('Instances that are always there.')
param alwaysReady alwaysReadyType[]

@description('How many instances at most.')
param maximumInstances int

@description('Memory of an instance.')
@allowed([512, 2048, 4096])
param instanceMemoryMB int

@description('true: spread over zones.')
param zoneRedundant bool

@description('The subnet that the app\'s own calls leave through. Empty: none.')
param subnetId string

@description('true: from the internet, Event Grid and allowedAddresses alone get to it.')
param closed bool

@description('Address ranges that get to it where it is closed, such as 203.0.113.0/24.')
param allowedAddresses string[]

var blobService = 'https://${storageAccountName}.blob.${environment().suffixes.storage}'

// One literal list, so that a preview shows each setting by itself. The host's storage by URIs, not by __accountName: from a
// name it makes an address of the public cloud only. An outcome topic that is empty is none.
var settings = [
  { name: 'APPLICATIONINSIGHTS_AUTHENTICATION_STRING', value: 'Authorization=AAD;ClientId=${identityClientId}' }
  { name: 'APPLICATIONINSIGHTS_CONNECTION_STRING', value: insights.properties.ConnectionString }
  { name: 'AZURE_AUTHORITY_HOST', value: environment().authentication.loginEndpoint }
  { name: 'AZURE_CLIENT_ID', value: identityClientId }
  { name: 'AzureWebJobsStorage__blobServiceUri', value: blobService }
  { name: 'AzureWebJobsStorage__clientId', value: identityClientId }
  { name: 'AzureWebJobsStorage__credential', value: 'managedidentity' }
  {
    name: 'AzureWebJobsStorage__queueServiceUri'
    value: 'https://${storageAccountName}.queue.${environment().suffixes.storage}'
  }
  {
    name: 'OTEL_PYTHON_DISABLED_INSTRUMENTATIONS'
    value: 'azure_sdk,django,fastapi,flask,httpx,psycopg2,requests,urllib,urllib3'
  }
  // Every step: otherwise five spans a second are kept.
  { name: 'OTEL_TRACES_SAMPLER', value: 'microsoft.fixed_percentage' }
  { name: 'OTEL_TRACES_SAMPLER_ARG', value: '1.0' }
  { name: 'PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY', value: 'true' }
  { name: 'PYTHON_APPLICATIONINSIGHTS_LOGGER_NAME', value: 'keyturn' }
  { name: 'ROTATION_ARM_ENDPOINT', value: environment().resourceManager }
  { name: 'ROTATION_AUDIT_WORKSPACE', value: auditWorkspace }
  { name: 'ROTATION_GITHUB_ENDPOINT', value: githubEndpoint }
  { name: 'ROTATION_GRAPH_ENDPOINT', value: graphEndpoint }
  { name: 'ROTATION_HTTP_AUTH', value: httpAuth }
  { name: 'ROTATION_LEDGER', value: ledgerUrl }
  { name: 'ROTATION_LOGS_ENDPOINT', value: logsEndpoint }
  { name: 'ROTATION_OUTCOME_TOPIC', value: outcomeTopicEndpoint }
  { name: 'ROTATION_OWN_ACCOUNTS', value: join(ownAccountIds, ',') }
  { name: 'ROTATION_POLICY', value: 'policy.toml' }
  { name: 'ROTATION_POSTGRES_SCOPE', value: 'https://ossrdbms-aad${environment().suffixes.sqlServerHostname}/.default' }
  { name: 'ROTATION_SERVER_CONNECTIONS', value: string(serverConnections) }
  { name: 'ROTATION_SWEEP_SCHEDULE', value: sweepSchedule }
  { name: 'ROTATION_VAULT_CREATIONS', value: string(vaultCreations) }
  { name: 'ROTATION_VAULTS', value: join(vaultUris, ',') }
]

// Event Grid delivers to functions over the public endpoint alone: Microsoft Learn, "Configure private endpoints for
// Azure Event Grid". So a closed app still takes its service tag; the webhook's key is asked for all the same.
var doors = closed
  ? concat(
      [
        {
          name: 'event-grid'
          description: 'Event Grid, which has no private way to a function.'
          tag: 'ServiceTag'
          ipAddress: 'AzureEventGrid'
          action: 'Allow'
          priority: 100
        }
      ],
      map(allowedAddresses, addresses => {
        name: 'allowed'
        description: 'allowedAddresses of the deployment.'
        tag: 'Default'
        ipAddress: addresses
        action: 'Allow'
        priority: 200
      })
    )
  : []

resource insights 'Microsoft.Insights/components@2020-02-02' existing = {
  name: insightsName
}

resource plan 'Microsoft.Web/serverfarms@2024-04-01' = {
  name: planName
  location: location
  tags: tags
  kind: 'functionapp'
  sku: {
    name: 'FC1'
    tier: 'FlexConsumption'
  }
  properties: {
    reserved: true
    zoneRedundant: zoneRedundant
  }
}

resource site 'Microsoft.Web/sites@2024-04-01' = {
  name: name
  location: location
  tags: tags
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identityId}': {}
    }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    clientAffinityEnabled: false
    publicNetworkAccess: 'Enabled'
    virtualNetworkSubnetId: empty(subnetId) ? null : subnetId
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: '${blobService}/${deploymentContainer}'
          authentication: {
            type: 'UserAssignedIdentity'
            userAssignedIdentityResourceId: identityId
          }
        }
      }
      runtime: {
        name: 'python'
        version: '3.13'
      }
      scaleAndConcurrency: {
        alwaysReady: alwaysReady
        maximumInstanceCount: maximumInstances
        instanceMemoryMB: instanceMemoryMB
      }
    }
    siteConfig: {
      appSettings: settings
      http20Enabled: true
      minTlsVersion: '1.2'
      scmMinTlsVersion: '1.2'
      remoteDebuggingEnabled: false
      ipSecurityRestrictions: doors
      ipSecurityRestrictionsDefaultAction: closed ? 'Deny' : 'Allow'
      scmIpSecurityRestrictions: filter(doors, door => door.tag == 'Default')
      scmIpSecurityRestrictionsDefaultAction: closed ? 'Deny' : 'Allow'
      scmIpSecurityRestrictionsUseMain: false
    }
  }
}

// No user name and password for uploads: only Entra tokens deploy.
resource noFtpPassword 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2024-04-01' = {
  parent: site
  name: 'ftp'
  properties: {
    allow: false
  }
}

resource noUploadPassword 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2024-04-01' = {
  parent: site
  name: 'scm'
  properties: {
    allow: false
  }
}

// With this the platform sets WEBSITE_AUTH_ENABLED, which the app asks for before it believes a caller's header. It must
// not be an app setting: then it would also stand where authentication has been turned off. docs/adr/0017.
resource signIn 'Microsoft.Web/sites/config@2024-04-01' = {
  parent: site
  name: 'authsettingsV2'
  properties: {
    platform: {
      enabled: httpAuth == 'entra'
      runtimeVersion: '~1'
    }
    globalValidation: {
      requireAuthentication: httpAuth == 'entra'
      unauthenticatedClientAction: 'Return401'
      // Health tells nothing secret; the webhook asks for a key of its own. Event Grid and its documentation spell it differently.
      excludedPaths: [
        '/api/health'
        '/runtime/webhooks/eventgrid'
        '/runtime/webhooks/EventGrid'
      ]
    }
    identityProviders: {
      azureActiveDirectory: {
        enabled: httpAuth == 'entra'
        registration: {
          clientId: entraClientId
          openIdIssuer: '${environment().authentication.loginEndpoint}${tenant().tenantId}/v2.0'
        }
        validation: {
          allowedAudiences: [
            entraClientId
            'api://${entraClientId}'
          ]
          defaultAuthorizationPolicy: {
            allowedApplications: allowedClients
          }
        }
      }
    }
    login: {
      tokenStore: {
        enabled: false
      }
    }
    httpSettings: {
      requireHttps: true
    }
  }
}

@description('The app\'s id.')
output id string = site.id

@description('Its address, without a trailing slash.')
output url string = 'https://${site.properties.defaultHostName}'
