#!/usr/bin/env bash
# register_app.sh NAME
# Makes the app registration "Keyturn NAME" that callers get tokens for, with the app roles of infra/app-roles.json,
# or mends the one of an earlier run; prints its client id. Says what it does on standard error.
#
# Names of app registrations are not unique: anybody in the tenant may have made one of that name, and would give out our
# roles as its owner. So one that is there is taken only where the account that runs this owns it.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=infra/scripts/say.sh
. "$here/say.sh"
[ $# -eq 1 ] || { usage; exit 2; }
display="Keyturn $1"
roles=$here/../app-roles.json
ask_admin="ask an Application Administrator to run infra/scripts/register_app.sh $1, and pass what it prints as --client-id"
# `az` itself, as a client that may ask for tokens on behalf of who is logged in.
azure_cli=04b07795-8ddb-461a-bbee-02f9e1bf7b46
scope=6f1d4a44-5a0f-4b0e-9d55-1f0c2b7a9e33 # ours: the same in each registration, so that a second run changes nothing

found=$(az ad app list --display-name "$display" --query "[?displayName=='$display'].appId" --output tsv | tr -d '\r') ||
    stop "app registrations can't be read" "$ask_admin"
case $(printf '%s' "$found" | grep -c . || true) in
0)
    client=$(az ad app create --display-name "$display" --sign-in-audience AzureADMyOrg --app-roles "@$roles" \
        --query appId --output tsv) || stop "this account may not make app registrations" "$ask_admin"
    note "made the app registration $display: $client" >&2
    ;;
1)
    client=$found
    if [ "$(az account show --query user.type --output tsv)" = user ]; then
        me=$(az ad signed-in-user show --query id --output tsv)
    else
        me=$(az ad sp show --id "$(az account show --query user.name --output tsv)" --query id --output tsv)
    fi
    az ad app owner list --id "$client" --query '[].id' --output tsv | tr -d '\r' | grep -qx "$me" ||
        stop "there is an app registration $display ($client), and this account is not its owner" \
            "if it is yours, pass --client-id $client; if not, choose another --name"
    az ad app update --id "$client" --app-roles "@$roles" || stop "the app registration $client can't be changed" "$ask_admin"
    note "the app registration $display is there: $client" >&2
    ;;
*) stop "there are several app registrations named $display" "pass the right one's client id: --client-id ID" ;;
esac

az ad app update --id "$client" --identifier-uris "api://$client" || stop "the app registration $client can't be changed" "$ask_admin"
object=$(az ad app show --id "$client" --query id --output tsv)
graph=$(az cloud show --query endpoints.microsoftGraphResourceId --output tsv)
graph=${graph%/}
# Tokens of version 2, and az as a known client. In two steps: Graph takes a client for a scope only once it has the scope.
declare_scope="{\"api\":{\"requestedAccessTokenVersion\":2,\"oauth2PermissionScopes\":[{\"id\":\"$scope\",\"value\":\"access\",\"type\":\"User\",\"isEnabled\":true,\"adminConsentDisplayName\":\"Call Keyturn\",\"adminConsentDescription\":\"Call Keyturn as the person who is logged in.\"}]}}"
admit_az="{\"api\":{\"preAuthorizedApplications\":[{\"appId\":\"$azure_cli\",\"delegatedPermissionIds\":[\"$scope\"]}]}}"
for body in "$declare_scope" "$admit_az"; do
    az rest --method patch --url "$graph/v1.0/applications/$object" --headers Content-Type=application/json \
        --body "$body" --output none || stop "the app registration $client can't be changed" "$ask_admin"
done
if [ -z "$(az ad sp list --filter "appId eq '$client'" --query '[].id' --output tsv)" ]; then
    az ad sp create --id "$client" --output none || stop "there is no service principal for $client" "$ask_admin"
fi
printf '%s\n' "$client"
