"""Which rights a deployment's identity needs, from its policy file; and whether it has those and no other.

    python3 -m infra.rights derive policy.toml                     what Bicep is to grant, as JSON
    python3 -m infra.rights steps policy.toml --principal ID       what only an administrator can: Graph, SQL
    python3 -m infra.rights check policy.toml --places FILE ...    what is missing, and what is too much

The table of roles is `infra/roles.json`, which Bicep loads too: what is checked here is what is deployed there.
"""
