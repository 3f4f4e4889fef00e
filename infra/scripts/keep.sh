#!/usr/bin/env bash
# keep.sh NAME ZIP
# Downloads the package that the deployment NAME runs now, for rollback.sh. Before the first one there is none: no file.
#
# Flex Consumption has no slots and keeps one package: released-package.zip, in the app's deployment container
# (Microsoft Learn, "Deployment technologies in Azure Functions"). The account needs Storage Blob Data Reader on it.
set -euo pipefail
# shellcheck source=infra/scripts/say.sh
. "$(dirname "$0")/say.sh"
[ $# -eq 2 ] || { usage; exit 2; }
name=$1 zip=$2

rm -f "$zip"
app=$(recorded "$name")
[ -n "$app" ] || { note "$name has not been deployed before: nothing to keep"; exit 0; }
container=$(az rest --method get --url "$app?api-version=$api" --output tsv \
    --query properties.functionAppConfig.deployment.storage.value) ||
    stop "the function app can't be read: $app" "have Reader on it; if it was deleted, run infra/destroy.sh --name $name first"
# https://ACCOUNT.blob.SUFFIX/CONTAINER
host=${container#https://}
account=${host%%.*}
blob=(--account-name "$account" --container-name "${container##*/}" --name released-package.zip --auth-mode login)
there=$(az storage blob exists "${blob[@]}" --query exists --output tsv) ||
    stop "the container of packages can't be read: $container" \
        "give this account Storage Blob Data Reader on it; with a private network, run this inside of it"
[ "$there" = true ] || { note "$name holds no package yet: nothing to keep"; exit 0; }
mkdir -p "$(dirname "$zip")"
az storage blob download "${blob[@]}" --file "$zip" --no-progress --output none ||
    stop "the package can't be downloaded from $container" "try again"
note "kept package $(packed "$zip" package.txt 2>/dev/null || echo 'of unknown number') in $zip"
