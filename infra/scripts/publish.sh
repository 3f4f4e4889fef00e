#!/usr/bin/env bash
# publish.sh APP_ID ZIP
# Uploads a package to the function app with that resource id, and waits until it is in place.
#
# By the endpoint that all tools use on Flex Consumption (One Deploy), and not by `az functionapp deployment source
# config-zip`: that asks for a build in Azure for every Python app, whatever --build-remote says (azure-cli,
# appservice/custom.py, enable_zip_deploy_flex), and `az functionapp deploy` sends a type that the endpoint refuses.
# Microsoft Learn, "Deployment technologies in Azure Functions", One deploy; azure-dev issue 3658 tells the answers.
set -euo pipefail
# shellcheck source=infra/scripts/say.sh
. "$(dirname "$0")/say.sh"
[ $# -eq 2 ] || { usage; exit 2; }
app=$1 zip=$2
tries=${KEYTURN_TRIES:-60}
[ -f "$zip" ] || stop "there is no package $zip" "make package"

answer=$(mktemp)
trap 'rm -f "$answer"' EXIT
scm=$(az rest --method get --url "$app?api-version=$api" --output tsv \
    --query "properties.hostNameSslStates[?hostType=='Repository'].name | [0]") ||
    stop "the function app can't be read: $app" "check the id, and that you have Reader on it"
[ -n "$scm" ] || stop "$app has no deployment endpoint" "is it a function app on Flex Consumption? See infra/main.bicep"
token=$(az account get-access-token --query accessToken --output tsv) || stop "there is no token" "run: az login"

# ask METHOD PATH [curl's options]: the body goes to $answer, the status to standard output. The token is in no argument.
ask() {
    local method=$1 path=$2
    shift 2
    printf 'header = "Authorization: Bearer %s"\n' "$token" |
        curl --silent --show-error --max-time 600 --config - --request "$method" --output "$answer" \
            --write-out '%{http_code}' "$@" "https://$scm$path" || true
}

told() { tr -d '\r' <"$answer" | head -c 500; }

# A role that was given a minute ago may not be in force, and another deployment may still run: both pass.
count=0
while :; do
    status=$(ask POST '/api/publish?RemoteBuild=false&Deployer=keyturn' \
        --header 'Content-Type: application/zip' --data-binary "@$zip")
    case $status in
    200 | 202) break ;;
    401) stop "the deployment endpoint knows no such caller" "run: az login; the account needs Website Contributor on $app" ;;
    413) stop "the package is too big" "look at what grew: unzip -l $zip" ;;
    400) grep -q 'BlobUploadFailed' "$answer" || stop "the package was refused: $(told)" "make package, and try again" ;;
    esac
    count=$((count + 1))
    [ "$count" -lt "$tries" ] ||
        stop "the package could not be uploaded (last answer: $status $(told))" \
            "403: open the app's deployment endpoint to this machine, or run this inside of the network; else try again later"
    note "not taken yet ($status), trying again"
    sleep "$pause"
done
id=$(tr -d '"\r\n ' <"$answer")

# -1 cancelled, 0 waiting, 1 building, 2 deploying, 3 failed, 4 done, 5 conflict, 6 done in part: azure-dev issue 3658. The instance that
# tells goes away once the package is in place: after one answer, "not found" means done (azure-cli, appservice/custom.py,
# _check_zip_deployment_status_flex). Before one it means nothing yet. Looked at each second, so as not to miss it.
count=0 readable=false
while :; do
    status=$(ask GET "/api/deployments/$id")
    state=
    if [ "$status" = 200 ]; then state=$(field "$answer" status) readable=true; fi
    if [ "$status" = 404 ] && $readable; then break; fi
    case $state in
    4) break ;;
    -1 | 3 | 5 | 6) stop "the deployment $id failed: $(field "$answer" status_text)" "its log: https://$scm/api/deployments/$id/log" ;;
    esac
    count=$((count + 1))
    [ "$count" -lt "$((tries * 5))" ] || stop "the deployment $id does not end" "its log: https://$scm/api/deployments/$id/log"
    sleep "${KEYTURN_PAUSE_S:-1}"
done
note "package $(packed "$zip" package.txt) is in place"
