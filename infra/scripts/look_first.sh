#!/usr/bin/env bash
# look_first.sh NAME LOCATION PARAMETERS FOLDER
# Compiles the templates with a parameter file, looks at each vault in it, at the group and at the region as they are now, and stops
# where the deployment NAME would fail, or would change what is not its own; says what to write into the file. Changes nothing.
# Leaves in FOLDER: names, the vaults with commas between; group-tags.json, the tags that the resource group has; shown-VAULT.json, each that is there; left, the commands for
# what stays on vaults that the deployment before had and this has not.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=infra/scripts/say.sh
. "$here/say.sh"
[ $# -eq 4 ] || { usage; exit 2; }
name=$1 location=$2 parameters=$3 folder=$4 work=$4
cd "$here/../.." # for infra/vaults
mkdir -p "$folder"
account=$(az account show --query id --output tsv | tr -d '\r') || stop "az is not logged in" "az login"
az bicep build-params --file "$parameters" --stdout >"$folder/built.json" ||
    stop "$parameters can't be compiled" "mend what the lines above name; the file has to lie beside infra/main.bicep"
"$python" -m infra.vaults wanted --folder "$folder" --name "$name" --location "$location" --subscription "$account" \
    >"$folder/subscriptions" || stop "$parameters is not as infra/main.bicep wants it" "see infra/small.bicepparam"

while read -r subscription deleted; do
    ask() { az "$@" --subscription "$subscription" --output json </dev/null; }
    ask keyvault list --resource-type vault >"$folder/vaults-$subscription.json" ||
        stop "the vaults of the subscription $subscription can't be read" "the account needs Reader on it"
    ask eventgrid system-topic list >"$folder/topics-$subscription.json" ||
        stop "the Event Grid topics of the subscription $subscription can't be read" "the account needs Reader on it"
    [ -z "$deleted" ] || ask keyvault list-deleted --resource-type vault >"$folder/deleted-$subscription.json" ||
        stop "the deleted vaults of the subscription $subscription can't be read" "the account needs Reader on it"
done <"$folder/subscriptions"
"$python" -m infra.vaults there --folder "$folder" >"$folder/there"
# logs RESOURCE FILE: where its logs are sent.
logs() {
    az monitor diagnostic-settings list --resource "$1" --output json </dev/null >"$2" ||
        stop "the diagnostic settings of $1 can't be read" "the account needs Reader on it"
}
while read -r subscription group vault id topic; do
    az keyvault show --subscription "$subscription" --resource-group "$group" --name "$vault" --output json </dev/null \
        >"$folder/shown-$vault.json" || stop "the vault $vault can't be read" "the account needs Reader on it"
    logs "$id" "$folder/vaultlogs-$vault.json"
    [ -z "$topic" ] || logs "$topic" "$folder/topiclogs-$vault.json"
done <"$folder/there"
recorded "$name" topics json >"$folder/recorded.json"
"$python" -m infra.vaults last --folder "$folder" --subscription "$account" >"$folder/last"
: >"$folder/held"
while read -r id; do
    held=$(seen role assignment list --scope "$id" --query "[?roleDefinitionName=='Keyturn secrets ($name)'].id")
    [ -z "$held" ] || printf '%s\n' "$id" >>"$folder/held"
done <"$folder/last"
# What the subscription has: its groups, and what each region of it knows.
has() { az rest --method get --url "/subscriptions/$account$1" --query "$2" --output json </dev/null; }
has '/resourcegroups?api-version=2021-04-01' 'value[].{name: name, location: location, tags: tags}' >"$folder/groups.json" ||
    stop "the resource groups of the subscription $account can't be read" "the account needs Reader on it"
has "/providers/Microsoft.Web/geoRegions?api-version=$api&sku=FlexConsumption" 'value[]' >"$folder/regions.json" ||
    note "which regions have Flex Consumption can't be read: not looked at"
has '/providers/Microsoft.Storage/skus?api-version=2024-01-01' "value[?resourceType=='storageAccounts']" >"$folder/skus.json" ||
    note "what storage the regions have can't be read: not looked at"
sound=true
"$python" -m infra.vaults judge --folder "$folder" --name "$name" --location "$location" || sound=false
# A subnet's delegation is no resource, so that Resource Manager does not register its provider by itself.
if [ "$(cat "$folder/private")" = true ]; then
    state=$(az provider show --namespace Microsoft.App --query registrationState --output tsv | lines) ||
        stop "the providers of the subscription $account can't be read" "the account needs Reader on it"
    [ "$state" = Registered ] || stop "the subscription $account does not know Microsoft.App, which a private network takes" \
        "az provider register --namespace Microsoft.App --wait"
fi
$sound || exit 1
"$python" -m infra.vaults left --folder "$folder" --name "$name" --subscription "$account" >"$folder/left"
sed -n 's/^# \(.* has left\):.*/   \1: step 9 prints what stays on it/p' "$folder/left"
note "looked after: $(cat "$folder/names")"
