#!/usr/bin/env bash
# azd_prepare.sh
# Before `azd provision`: judges policy.toml and the vaults, and puts into azd's environment the rights that the policy needs
# and the client id of the app registration. Set before: KEYTURN_VAULTS, and where wanted KEYTURN_HTTP_AUTH, KEYTURN_CLIENT_ID.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=infra/scripts/say.sh
. "$here/say.sh"
cd "$here/../.."
name=${AZURE_ENV_NAME:?azd sets it}
[[ $name =~ ^[a-z0-9][a-z0-9-]{1,15}[a-z0-9]$ ]] ||
    stop "the environment's name is $name" "azd env new, with 3 to 17 lower-case letters, digits and hyphens"
[ -n "${KEYTURN_VAULTS:-}" ] ||
    stop "no vault is named" "azd env set KEYTURN_VAULTS '[{\"name\": \"kv-orders-prod\", \"resourceGroup\": \"rg-orders-prod\"}]'"
"$python" -m json.tool <<<"$KEYTURN_VAULTS" >/dev/null || stop "KEYTURN_VAULTS is not JSON" "azd env set KEYTURN_VAULTS '[{\"name\": \"…\"}]'"
account=$(az account show --query id --output tsv | lines) || stop "az is not logged in" "az login"
[ "${AZURE_SUBSCRIPTION_ID:-$account}" = "$account" ] ||
    stop "azd deploys into the subscription $AZURE_SUBSCRIPTION_ID, and az is set to $account" "az account set --subscription $AZURE_SUBSCRIPTION_ID"
"$python" -m rotation.policy check policy.toml || stop "policy.toml is wrong" "mend the line above in policy.toml"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bash "$here/look_first.sh" "$name" "${AZURE_LOCATION:?azd sets it}" "$PWD/infra/main.bicepparam" "$work"
rights=$work/rights.json
"$python" -m infra.rights derive policy.toml --vaults "$(cat "$work/names")" >"$rights" || stop "no rights can be derived from policy.toml" "mend what the line above names"
azd env set KEYTURN_GRANTS "$(field "$rights" grants)" || stop "azd's environment can't be written" "azd env list"
if [ "${KEYTURN_HTTP_AUTH:-entra}" = entra ] && [ -z "${KEYTURN_CLIENT_ID:-}" ]; then
    client=$(bash "$here/register_app.sh" "$name")
    azd env set KEYTURN_CLIENT_ID "$client" || stop "azd's environment can't be written" "azd env set KEYTURN_CLIENT_ID $client"
fi
