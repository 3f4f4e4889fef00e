// One new vault, everything over public endpoints, by identities alone. The smallest thing that is right.
using 'main.bicep'

param name = 'keyturn'

param vaults = [
  {
    name: 'kv-orders-prod'
    create: true
  }
]

// The app registration that deploy.sh makes, or that you made with app-roles.json.
param entraClientId = readEnvironmentVariable('KEYTURN_CLIENT_ID', '')

param alertEmails = []
