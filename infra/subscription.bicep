metadata description = 'The events of each vault to the app. Deployed after the code: the function must be there to be named.'

targetScope = 'subscription'

@description('A vault\'s system topic.')
type topicType = {
  @description('The vault.')
  vault: string

  @description('The topic.')
  name: string

  @description('The subscription it is in.')
  subscriptionId: string

  @description('The resource group it is in.')
  resourceGroup: string
}

@description('The output TOPICS of main.bicep.')
param topics topicType[]

@description('The output FUNCTION_APP_ID of main.bicep.')
param functionAppId string

@description('The output STORAGE_ACCOUNT_ID of main.bicep.')
param storageAccountId string

@description('The output DEAD_LETTER_CONTAINER of main.bicep.')
param deadLetterContainer string

@description('The name of the subscriptions: one on each topic.')
param name string = 'keyturn'

@description('The schema that events come in; the app takes both. It can\'t be changed later: delete the subscription first.')
@allowed(['CloudEventSchemaV1_0', 'EventGridSchema'])
param schema string = 'CloudEventSchemaV1_0'

@description('Only secrets whose name begins so. Empty: all.')
param subjectBeginsWith string = ''

@description('Only secrets whose name ends so. Empty: all.')
param subjectEndsWith string = ''

@description('How often a delivery is tried.')
@minValue(1)
@maxValue(30)
param maxDeliveryAttempts int = 30

@description('For how many minutes a delivery is tried.')
@minValue(1)
@maxValue(1440)
param eventTimeToLiveMinutes int = 1440

module events 'modules/event-subscription.bicep' = [
  for topic in topics: {
    name: '${name}-events-${uniqueString(topic.vault)}'
    scope: resourceGroup(topic.subscriptionId, topic.resourceGroup)
    params: {
      topicName: topic.name
      name: name
      functionId: '${functionAppId}/functions/near_expiry'
      storageAccountId: storageAccountId
      deadLetterContainer: deadLetterContainer
      schema: schema
      subjectBeginsWith: subjectBeginsWith
      subjectEndsWith: subjectEndsWith
      maxDeliveryAttempts: maxDeliveryAttempts
      eventTimeToLiveMinutes: eventTimeToLiveMinutes
    }
  }
]

@description('The subscriptions.')
output SUBSCRIPTION_IDS array = [for (topic, i) in topics: events[i].outputs.id]
