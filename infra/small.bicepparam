// One vault that is there, everything over public endpoints, by identities alone. The smallest thing that is right.
using 'main.bicep'

param name = 'keyturn' // deploy.sh --name wins

// Where a vault needs more than these two, deploy.sh says the line to write. For a vault that is not there yet, in place of
// resourceGroup: `create: true`.
param vaults = [
  {
    name: 'kv-orders-prod'
    resourceGroup: 'rg-orders-prod'
  }
]

// The app registration that deploy.sh makes, or that you made with app-roles.json.
param entraClientId = readEnvironmentVariable('KEYTURN_CLIENT_ID', '')

// Who hears of alerts, such as ['ops@example.com']: without an address here, or actionGroupIds, they only show in the portal.
param alertEmails = []
