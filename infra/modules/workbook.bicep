metadata description = 'The workbook: what was rotated, what will be, who touched which secret, and each rotation\'s story. It shows queries/, and asks nothing of its own.'

@description('The app\'s name.')
param name string

@description('Region.')
param location string

@description('Tags.')
param tags object

@description('The workspace that it asks.')
param workspaceId string

// The shape is that of Azure Monitor's workbook schema. It names no resource: a workbook of a workspace asks that workspace.
var schema = 'https://github.com/Microsoft/Application-Insights-Workbooks/blob/master/schema/workbook.json'
var workspaces = 'microsoft.operationalinsights/workspaces'
var textItem = 1
var queryItem = 3
var parametersItem = 9

var queries = {
  'delivery-failures': loadTextContent('../queries/delivery-failures.kql')
  'denied-or-tags-lost': loadTextContent('../queries/denied-or-tags-lost.kql')
  'expiring-unrotated': loadTextContent('../queries/expiring-unrotated.kql')
  'failed-rotations': loadTextContent('../queries/failed-rotations.kql')
  'last-word': loadTextContent('../queries/last-word.kql')
  'no-sweep': loadTextContent('../queries/no-sweep.kql')
  outcomes: loadTextContent('../queries/outcomes.kql')
  'poison-messages': loadTextContent('../queries/poison-messages.kql')
  'refreshes-given-up': loadTextContent('../queries/refreshes-given-up.kql')
  'rotation-story': loadTextContent('../queries/rotation-story.kql')
  'time-to-rotate': loadTextContent('../queries/time-to-rotate.kql')
  'vault-refusals': loadTextContent('../queries/vault-refusals.kql')
  'who-touched-which-secret': loadTextContent('../queries/who-touched-which-secret.kql')
}

// The alerts' windows, as a workbook wants them.
var windows = {
  PT30M: { hours: '0.5', durationMs: 1800000 }
  PT2H: { hours: '2', durationMs: 7200000 }
  PT3H: { hours: '3', durationMs: 10800000 }
}
// What the reader may choose: four hours, a day, a week, 30 days.
var choices = [
  { durationMs: 14400000 }
  { durationMs: 86400000 }
  { durationMs: 604800000 }
  { durationMs: 2592000000 }
]

var alarming = [
  for alert in loadJsonContent('../alerts.json').logAlerts: {
    query: alert.name
    title: '${alert.name}, over ${windows[alert.windowSize].hours} h'
    visualization: 'table'
    nothing: 'Nothing. All is well.'
    time: { timeContext: { durationMs: windows[alert.windowSize].durationMs } }
  }
]
var chosen = { timeContextFromParameter: 'Time' }
var nothing = 'Nothing in this time range.'
var looks = [
  { query: 'last-word', title: 'The last word on each secret', visualization: 'table', nothing: nothing, time: chosen }
  { query: 'outcomes', title: 'Outcomes by the hour', visualization: 'barchart', nothing: nothing, time: chosen }
  {
    query: 'time-to-rotate'
    title: 'How long runs took, in seconds'
    visualization: 'table'
    nothing: nothing
    time: chosen
  }
  {
    query: 'rotation-story'
    title: 'One operation\'s story (set Operation above)'
    visualization: 'table'
    nothing: 'No line names this operation.'
    time: chosen
  }
  {
    query: 'who-touched-which-secret'
    title: 'Who read and wrote which secret (Secret above: a part of its name)'
    visualization: 'table'
    nothing: nothing
    time: chosen
  }
  {
    query: 'delivery-failures'
    title: 'Events that could not be delivered'
    visualization: 'table'
    nothing: nothing
    time: chosen
  }
]
// A query leaves two places to its reader: in the workbook, its parameters fill them.
var shown = map(concat(alarming, looks), look => {
  type: queryItem
  content: union(
    {
      version: 'KqlItem/1.0'
      query: replace(
        replace(queries[look.query], 'let wanted = "";', 'let wanted = "{Secret}";'),
        'let operation = "";',
        'let operation = "{Operation}";'
      )
      size: 0
      title: look.title
      noDataMessage: look.nothing
      queryType: 0
      resourceType: workspaces
      visualization: look.visualization
    },
    look.time
  )
  name: look.query
})

var parameters = {
  type: parametersItem
  content: {
    version: 'KqlParameterItem/1.0'
    parameters: [
      {
        id: '7a6cd440-e2ae-50af-90b9-46d5baa8409e'
        version: 'KqlParameterItem/1.0'
        name: 'Time'
        type: 4
        isRequired: true
        value: choices[2]
        typeSettings: { selectableValues: choices }
      }
      {
        id: 'e487a1d2-7b51-56e6-b42f-ec0e92ecf5e7'
        version: 'KqlParameterItem/1.0'
        name: 'Secret'
        type: 1
        value: ''
        typeSettings: {}
      }
      {
        id: '3e9ae492-10f9-54a4-a685-19451f0f71aa'
        version: 'KqlParameterItem/1.0'
        name: 'Operation'
        type: 1
        value: ''
        typeSettings: {}
      }
    ]
    style: 'pills'
    queryType: 0
    resourceType: workspaces
  }
  name: 'parameters'
}
var top = '''# Keyturn
What rotates, what does not, who reads it. What to do at each alert: docs/operations.md.'''
var alarmingNow = '''## What would alarm now
The alerts' own queries, each over its own window.'''

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
    serializedData: string({
      version: 'Notebook/1.0'
      items: concat(
        [
          { type: textItem, content: { json: top }, name: 'top' }
          parameters
          { type: textItem, content: { json: alarmingNow }, name: 'alarming' }
        ],
        take(shown, length(alarming)),
        [
          { type: textItem, content: { json: '## Looking closer' }, name: 'looking' }
        ],
        skip(shown, length(alarming))
      )
      fallbackResourceIds: []
      '$schema': schema
    })
  }
}
