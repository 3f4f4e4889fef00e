#!/usr/bin/env bash
# infra/give_role.sh --name NAME [--role ROLE] [--to ID]
# Lets somebody call the app of the deployment NAME. Doing it twice changes nothing.
#
#   --role ROLE   Rotation.Operator (the default: look and rotate), or Rotation.Reader (look)
#   --to ID       the object id of a person, a group or an identity. Default: who is logged in
#
# It takes Cloud Application Administrator. Then `az logout && az login`: a token that was given before does not have the role.
# Microsoft Learn, "Grant an appRoleAssignment for a service principal".
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=infra/scripts/say.sh
. "$root/infra/scripts/say.sh"
name='' role=Rotation.Operator to=''
while [ $# -gt 0 ]; do
    case $1 in
    --name) need "$@"; name=$2; shift ;;
    --role) need "$@"; role=$2; shift ;;
    --to) need "$@"; to=$2; shift ;;
    --help | -h) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
    esac
    shift
done
[ -n "$name" ] || stop "--name is needed" "infra/give_role.sh --help"
id=$("$python" - "$root/infra/app-roles.json" "$role" <<'PYTHON'
import json, sys

print(next((one["id"] for one in json.load(open(sys.argv[1], encoding="utf-8")) if one["value"] == sys.argv[2]), ""))
PYTHON
)
[ -n "$id" ] || stop "--role is $role" "take Rotation.Operator or Rotation.Reader"

app=$(deployed "$name")
client=$(client_of "$app")
[ -n "$client" ] || stop "$name asks for function keys, and knows no roles" "give out a key: az functionapp keys list --ids $app"
if [ -z "$to" ]; then
    to=$(az ad signed-in-user show --query id --output tsv | lines) || stop "who is logged in is no person" "name an object id: --to ID"
fi
to=$(printf '%s' "$to" | tr '[:upper:]' '[:lower:]')
[[ $to =~ ^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$ ]] || stop "--to is $to" "an object id, as az ad user show --id NAME --query id tells it"
service=$(az ad sp show --id "$client" --query id --output tsv | lines) ||
    stop "there is no service principal for $client" "infra/scripts/register_app.sh $name"
graph=$(az cloud show --query endpoints.microsoftGraphResourceId --output tsv | lines)
url="${graph%/}/v1.0/servicePrincipals/$service/appRoleAssignedTo"
there=$(az rest --method get --url "$url?\$top=999" --output tsv \
    --query "value[?principalId=='$to' && appRoleId=='$id'].principalId | [0]" | lines) ||
    stop "Graph does not tell who has the app's roles" "the account needs Directory Readers"
if [ -n "$there" ]; then
    note "$to has $role of $name already"
    exit 0
fi
az rest --method post --url "$url" --output none \
    --body "{\"principalId\": \"$to\", \"resourceId\": \"$service\", \"appRoleId\": \"$id\"}" ||
    stop "the app role can't be given" "a Cloud Application Administrator has to run this: infra/give_role.sh --name $name --role $role --to $to"
note "$to has $role of $name now; log in again, for a token that says so, and set the subscription again"
