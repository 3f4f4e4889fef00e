#!/usr/bin/env bash
# eval "$(infra/session.sh --name NAME)"
# Sets, in the shell that evaluates it: APP, the address of the deployment NAME, and AUTH, the header by which your account
# is let in, for `curl -H "$AUTH" "$APP/api/…"`. A token lasts about an hour; then do it again.
#
# Your account needs Reader on the function app, and an app role: infra/give_role.sh. With function keys (httpAuth "key") it
# needs Website Contributor.
set -euo pipefail
# shellcheck source=infra/scripts/say.sh
. "$(dirname "$0")/scripts/say.sh"
name=''
while [ $# -gt 0 ]; do
    case $1 in
    --name) need "$@"; name=$2; shift ;;
    --help | -h) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
    esac
    shift
done
[ -n "$name" ] || stop "--name is needed" "infra/session.sh --help"

app=$(deployed "$name")
host=$(az rest --method get --url "$app?api-version=$api" --query properties.defaultHostName --output tsv | lines) ||
    stop "the function app can't be read: $app" "have Reader on it"
client=$(client_of "$app")
if [ -n "$client" ]; then
    token=$(az account get-access-token --scope "api://$client/.default" --query accessToken --output tsv | lines) ||
        stop "there is no token for api://$client" "az login --scope api://$client/.default"
    header="Authorization: Bearer $token"
else
    key=$(az rest --method post --url "$app/host/default/listKeys?api-version=$api" --query functionKeys.default --output tsv | lines) ||
        stop "the app's keys can't be read" "the account needs Website Contributor on $app"
    header="x-functions-key: $key"
fi
[ -n "$host" ] && [ "${header##* }" != '' ] ||
    stop "$app tells no address, or nothing to call it by" "see the app in the portal; with function keys: az functionapp keys list --ids $app"
printf 'APP=%q\nAUTH=%q\n' "https://$host" "$header"
