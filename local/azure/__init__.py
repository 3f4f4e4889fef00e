"""A stand-in for the parts of Azure whose credentials are rotated, on loopback, for tests and demonstrations.

One TLS port serves, each below its own path:

* `/arm`: the resource manager. Storage accounts (get, listKeys, regenerateKey), PostgreSQL flexible servers (get),
  sites (settings' references resolved again), container apps (get, restart of a revision), where AKS clusters are.
  Types of resources with two keys (get, list, make one anew), by the rows of `local.azure.key_rows`.
* `/aks/NAME`: a cluster's API, for the patch of a deployment.
* `/devops`, `/github`: what starts a run of a pipeline or a workflow; service connections, and secrets of Actions.
* `/hook/NAME`: a receiver of signed webhooks.
* `/blob/ACCOUNT`: the account's blob service, which checks Shared Key signatures as the real one does.
* `/graph`: applications (get, addPassword, removePassword).
* `/logs`: Log Analytics' query API, for the workspaces that a test puts there.
* `/login`: token requests with a client's id and secret, and the authority's metadata for MSAL's clients.

At ARM and Graph the app's identity may do what the file of `--rights` grants it (`local.rights`); others, everything.

State is kept in SQLite and committed before an answer is sent, so a killed process forgets nothing that it answered.

`/control` is for whoever holds the key of the ready file (header `X-Control-Key`), with JSON bodies:

* `POST accounts` `{"id": ARM id, "allow_shared_key": true, "firewall": false}` and `POST servers` `{"id", "fqdn",
  "state"}` and `POST applications` `{"object_id", "app_id", "display_name", "principal": true}` create or change one.
* `POST keyed` `{"id": ARM id, …}` creates a resource with two keys, or changes its properties: `{"keys", "ids"}`.
* `POST applications/ID/secrets` `{"display_name"}` adds a client secret: `{"keyId", "secretText"}`.
* `POST refresh-targets` creates one: `{"kind": "site", "site_id"}`, `{"kind": "container-app", "app_id", "revision"}`,
  `{"kind": "cluster", "cluster_id", "ca", "deployment"}`, `{"kind": "pipeline", "project", "pipeline", "branch"}`,
  `{"kind": "workflow", "repository", "workflow", "ref", "token"}`, `{"kind": "hook", "name", "key"}` (base64),
  `{"kind": "github-place", "place", "token"}`, `{"kind": "connection", "organization", "connection"}` (a JSON text).
* `POST asked`: which calls arrived at them. `POST written` `{"place", "name"}` or `{"organization", "connection"}`:
  what was written there, values too.
* `POST faults`, `DELETE faults`: see `local.azure.faults.Fault`.
* `POST propagation` `{"seconds": 30}`: how long new credentials take to be accepted, and old ones to be refused.
"""

from local.azure.server import LocalAzure

__all__ = ["LocalAzure"]
