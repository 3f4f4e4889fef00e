#!/usr/bin/env bash
# infra/deploy.sh --name NAME --location LOCATION --parameters FILE.bicepparam [options]
# Deploys Keyturn, or brings a deployment up to date: infrastructure, code and events. Doing it twice changes nothing.
#
#   --name NAME            the base of all names, such as keyturn-prod (wins over the one in the file)
#   --location LOCATION    a region with Flex Consumption: az functionapp list-flexconsumption-locations
#   --parameters FILE      see infra/small.bicepparam and infra/enterprise.bicepparam
#   --package ZIP          a package that is built already; else it is built now
#   --http-auth MODE       entra (the default) or key
#   --client-id ID         an app registration that is there already, with the app roles of infra/app-roles.json
#   --smoke-secret V/N     a secret, as VAULT/NAME, of which a rotation is planned at the end; nothing is changed
#   --subscription ID      stop unless the account that is logged in is set to this subscription
#   --event PARAMETER=VALUE  a parameter of infra/subscription.bicep; repeatable
#   --what-if              say what would change, and change nothing
#
# Needs the Azure CLI, Python 3.11 or newer and curl; runs on Linux, macOS and in the Cloud Shell.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
scripts=$root/infra/scripts
# shellcheck source=infra/scripts/say.sh
. "$scripts/say.sh"

name='' location='' parameters='' package='' mode=entra client='' secret='' subscription='' what_if=false
event=()
while [ $# -gt 0 ]; do
    case $1 in
    --name) need "$@"; name=$2; shift ;;
    --location) need "$@"; location=$2; shift ;;
    --parameters) need "$@"; parameters=$2; shift ;;
    --package) need "$@"; package=$2; shift ;;
    --http-auth) need "$@"; mode=$2; shift ;;
    --client-id) need "$@"; client=$2; shift ;;
    --smoke-secret) need "$@"; secret=$2; shift ;;
    --subscription) need "$@"; subscription=$2; shift ;;
    --event) need "$@"; event+=("$2"); shift ;;
    --what-if) what_if=true ;;
    --help | -h) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
    esac
    shift
done

# What was given may be relative to where this was called; below it works in the checkout.
absolute() { case $1 in '' | /*) printf '%s' "$1" ;; *) printf '%s/%s' "$PWD" "$1" ;; esac; }
parameters=$(absolute "$parameters") package=$(absolute "$package")

step "1/10 tools, login and templates"
[ -n "$name" ] && [ -n "$location" ] && [ -n "$parameters" ] ||
    stop "--name, --location and --parameters are needed" "infra/deploy.sh --help"
[[ $name =~ ^[a-z0-9][a-z0-9-]{1,15}[a-z0-9]$ ]] ||
    stop "--name is $name" "take 3 to 17 lower-case letters, digits and hyphens"
[ -f "$parameters" ] || stop "there is no file $parameters" "copy infra/small.bicepparam and fill it in"
case $mode in entra | key) ;; *) stop "--http-auth is $mode" "take entra or key" ;; esac
for tool in az curl "$python"; do
    command -v "$tool" >/dev/null 2>&1 || stop "$tool is not installed" "https://learn.microsoft.com/cli/azure/install-azure-cli for az; curl and python3 come with the system"
done
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || stop "$python is older than 3.11" "install Python 3.11 or newer, or say which by PYTHON=…"
version=$(az version --query '"azure-cli"' --output tsv | tr -d '\r') || stop "az does not run" "install it again"
"$python" -c 'import sys; sys.exit(tuple(map(int, sys.argv[1].split(".")[:2])) < (2, 60))' "$version" ||
    stop "az $version does not know Flex Consumption" "az upgrade"
account=$(az account show --query id --output tsv 2>/dev/null | tr -d '\r') || stop "az is not logged in" "az login"
[ -z "$subscription" ] || [ "$subscription" = "$account" ] ||
    stop "az is set to the subscription $account" "az account set --subscription $subscription"
note "az $version, subscription $account"
bash "$scripts/compile.sh"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$root" # for rotation/ and infra/rights

step "2/10 package and policy"
if [ -z "$package" ]; then
    package=$work/keyturn.zip
    "$python" infra/package.py --folder "$work/app" --zip "$package" || stop "the package can't be built" "see the line above"
fi
[ -f "$package" ] || stop "there is no package $package" "make package"
# Judged is the policy that is uploaded, not the one that happens to lie here.
packed "$package" policy.toml >"$work/policy.toml" || stop "$package holds no policy.toml" "make package"
"$python" -m rotation.policy check "$work/policy.toml" || stop "policy.toml is wrong" "mend the line above in policy.toml, then make package"

step "3/10 vaults"
bash "$scripts/look_first.sh" "$name" "$location" "$parameters" "$work/vaults"

step "4/10 rights that the policy needs"
"$python" -m infra.rights derive "$work/policy.toml" --vaults "$(cat "$work/vaults/names")" >"$work/rights.json" ||
    stop "no rights can be derived from policy.toml" "mend what the line above names"
field "$work/rights.json" grants >"$work/grants.json"
"$python" - "$work/rights.json" <<'PYTHON'
import json, sys

rights = json.load(open(sys.argv[1], encoding="utf-8"))
print(f"   {len(rights['grants'])} on what it rotates; roles of our own: {', '.join(rights['customRoles']) or 'none'}")
for warning in rights["warnings"]:
    print(f"   warning: {warning}")
PYTHON

step "5/10 app registration"
if [ "$mode" = key ]; then
    note "none: function keys alone"
elif [ -n "$client" ]; then
    note "given: $client"
elif $what_if; then
    note "would make \"Keyturn $name\" with the app roles of infra/app-roles.json, or mend it"
    client=00000000-0000-0000-0000-000000000000
else
    client=$(bash "$scripts/register_app.sh" "$name")
fi
# Asked for now, since a pipeline's login may be unable to in twenty minutes: scripts/smoke.sh. One for an app registration that was made a
# moment ago may not be given yet; there is time to ask again.
if [ "$mode" = entra ] && [ -n "$secret" ] && ! $what_if; then
    SMOKE_TOKEN=$(app_token "$client" 2>"$work/token") || note "no token for api://$client yet: it is asked for again in step 10"
    export SMOKE_TOKEN
fi

step "6/10 infrastructure"
given=(--name "keyturn-$name" --location "$location" --parameters "$parameters"
    --parameters "name=$name" "httpAuth=$mode" "entraClientId=$client" "grants=@$work/grants.json" "resourceGroupTags=@$work/vaults/group-tags.json")
# A rule that waits for readers makes the app ask the workspace, whatever the parameters say.
if [ "$(field "$work/rights.json" auditReaders)" = true ]; then given+=(--parameters auditReaders=true); fi
if $what_if; then
    az deployment sub what-if "${given[@]}" ||
        stop "the infrastructure can't be planned" "mend what the lines above name; the account needs to be Owner, or Contributor and User Access Administrator"
    app=$(recorded "$name")
    if [ -z "$app" ]; then
        step "7-10/10 code, events, smoke test"
        note "would upload package $(packed "$package" package.txt), wait for near_expiry, subscribe it, and ask /api/health"
        exit 0
    fi
else
    az deployment sub create "${given[@]}" --output none ||
        stop "the infrastructure could not be deployed" "mend what the lines above name and run this again; the account needs to be Owner, or Contributor and User Access Administrator"
fi
az deployment sub show --name "keyturn-$name" --query properties.outputs --output json >"$work/outputs.json" ||
    stop "the deployment's outputs can't be read" "run this again"
output() { field "$work/outputs.json" "$1"; }
app=$(output FUNCTION_APP_ID)
[ -n "$app" ] || stop "the deployment keyturn-$name has no outputs: it failed" "run infra/deploy.sh without --what-if"
url=$(output FUNCTION_APP_URL)
output TOPICS >"$work/topics.json"
subscribe=(--name "$name" --location "$location" --app "$app" --storage "$(output STORAGE_ACCOUNT_ID)"
    --dead-letters "$(output DEAD_LETTER_CONTAINER)" --topics "$work/topics.json")
note "$app"

if $what_if; then
    step "7-8/10 code"
    note "would upload package $(packed "$package" package.txt)"
    step "9/10 events"
    left_behind "$work/vaults" "$(output IDENTITY_PRINCIPAL_ID)"
    bash "$scripts/subscribe.sh" "${subscribe[@]}" --what-if -- ${event[@]+"${event[@]}"}
    exit 0
fi

step "7/10 code"
bash "$scripts/publish.sh" "$app" "$package"

step "8/10 functions"
bash "$scripts/wait_for_function.sh" "$app" near_expiry

step "9/10 events"
left_behind "$work/vaults" "$(output IDENTITY_PRINCIPAL_ID)"
bash "$scripts/subscribe.sh" "${subscribe[@]}" -- ${event[@]+"${event[@]}"}
note "near_expiry hears of every secret that nears its end, in $("$python" -c 'import json, sys; print(len(json.load(open(sys.argv[1]))))' "$work/topics.json") vault(s)"

by_hand "$work/vaults" "$work/policy.toml" "$(output IDENTITY_PRINCIPAL_ID)"

step "10/10 smoke test"
smoke=(--url "$url" --package "$package")
if [ -n "$secret" ]; then smoke+=(--secret "$secret"); fi
if [ "$mode" = entra ]; then
    smoke+=(--client-id "$client")
elif [ -n "$secret" ] && [ -z "${SMOKE_FUNCTION_KEY:-}" ]; then
    SMOKE_FUNCTION_KEY=$(az rest --method post --url "$app/host/default/listKeys?api-version=$api" \
        --query functionKeys.default --output tsv) || stop "the app's keys can't be read" "the account needs Website Contributor on $app"
    export SMOKE_FUNCTION_KEY
fi
bash "$scripts/smoke.sh" "${smoke[@]}"

step "deployed: $url"
