// One new vault, everything over public endpoints, by identities alone. The smallest thing that is right.
using 'main.bicep'

param name = 'keyturn'

// A vault that is there: { name: 'kv-orders-prod', resourceGroup: 'rg-orders-prod' }, and its location where that is another.
// `create: true` is for a vault that is not there yet: over one that is, it would set firewall and access model anew.
param vaults = [
  {
    name: 'kv-orders-prod'
    create: true
  }
]

// The app registration that deploy.sh makes, or that you made with app-roles.json.
param entraClientId = readEnvironmentVariable('KEYTURN_CLIENT_ID', '')

// Who hears of alerts: without an address here, or actionGroupIds, they only show in the portal.
param alertEmails = []
