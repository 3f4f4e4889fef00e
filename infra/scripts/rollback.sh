#!/usr/bin/env bash
# rollback.sh NAME ZIP
# Uploads the package that keep.sh kept, and looks whether it answers. Only the code goes back: infrastructure goes
# forward, and ledger and queue are read by old and new code alike.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=infra/scripts/say.sh
. "$here/say.sh"
[ $# -eq 2 ] || { usage; exit 2; }
name=$1 zip=$2

[ -f "$zip" ] || stop "there is no earlier package to go back to" "mend what failed and deploy again; infra/destroy.sh --name $name takes it away"
app=$(recorded "$name")
[ -n "$app" ] || stop "$name has not been deployed" "see the name: az deployment sub list --query \"[].name\""
step "back to the package before"
bash "$here/publish.sh" "$app" "$zip"
host=$(az rest --method get --url "$app?api-version=$api" --query properties.defaultHostName --output tsv) ||
    stop "the function app can't be read: $app" "check that you have Reader on it"
client=$(client_of "$app")
smoke=(--url "https://$host" --package "$zip")
if [ -n "$client" ]; then smoke+=(--client-id "$client"); fi
bash "$here/smoke.sh" "${smoke[@]}"
