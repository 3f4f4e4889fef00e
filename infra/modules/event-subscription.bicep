metadata description = 'Key Vault\'s near-expiry and expiry events to the function near_expiry.'

// Event Grid delivers by a managed identity to Service Bus, Event Hubs and storage only; to a function it goes by the
// function's id and fetches the webhook's key by itself. Dead letters do go by the topic's identity.
// Microsoft Learn, "Event delivery with a managed identity"; docs/adr/0016.

@description('The system topic, in this resource group.')
param topicName string

@description('The subscription\'s name.')
param name string

@description('The function near_expiry.')
param functionId string

@description('The storage account of dead letters.')
param storageAccountId string

@description('The container of dead letters.')
param deadLetterContainer string

@description('The schema that events come in; the app takes both.')
@allowed(['CloudEventSchemaV1_0', 'EventGridSchema'])
param schema string

@description('Only secrets whose name begins so. Empty: all.')
param subjectBeginsWith string

@description('Only secrets whose name ends so. Empty: all.')
param subjectEndsWith string

@description('How often a delivery is tried, 1 to 30.')
param maxDeliveryAttempts int

@description('For how many minutes a delivery is tried, 1 to 1440.')
param eventTimeToLiveMinutes int

resource topic 'Microsoft.EventGrid/systemTopics@2025-02-15' existing = {
  name: topicName
}

resource events 'Microsoft.EventGrid/systemTopics/eventSubscriptions@2025-02-15' = {
  parent: topic
  name: name
  properties: {
    eventDeliverySchema: schema
    destination: {
      endpointType: 'AzureFunction'
      properties: {
        resourceId: functionId
        maxEventsPerBatch: 1
        preferredBatchSizeInKilobytes: 64
      }
    }
    filter: {
      includedEventTypes: [
        'Microsoft.KeyVault.SecretNearExpiry'
        'Microsoft.KeyVault.SecretExpired'
      ]
      subjectBeginsWith: subjectBeginsWith
      subjectEndsWith: subjectEndsWith
      isSubjectCaseSensitive: false
    }
    retryPolicy: {
      maxDeliveryAttempts: maxDeliveryAttempts
      eventTimeToLiveInMinutes: eventTimeToLiveMinutes
    }
    deadLetterWithResourceIdentity: {
      identity: {
        type: 'SystemAssigned'
      }
      deadLetterDestination: {
        endpointType: 'StorageBlob'
        properties: {
          resourceId: storageAccountId
          blobContainerName: deadLetterContainer
        }
      }
    }
  }
}

@description('The subscription\'s id.')
output id string = events.id
