# shellcheck shell=bash disable=SC2034  # what is set here is used by those who source it
# How every script here speaks, stops and reads JSON. Sourced; bash 3.2 and newer.

python=${PYTHON:-python3}
work=''                     # a folder that the script makes for itself
pause=${KEYTURN_PAUSE_S:-5} # seconds between two looks at something that takes a while
api=2024-04-01              # of Microsoft.Web

# A group that `az configure` sets as the default would narrow what is looked at.
export AZURE_DEFAULTS_GROUP=

step() { printf '\n== %s\n' "$*"; }
note() { printf '   %s\n' "$*"; }

# stop MESSAGE REMEDY: what is wrong, and what to do about it.
stop() {
    printf '\nerror: %s\nremedy: %s\n' "$1" "$2" >&2
    exit 1
}

# need OPTION [VALUE …]: stops where an option that takes a value stands last, or before another option: a pipeline's blank variable.
need() {
    case ${2-no value} in
    'no value' | --*) stop "$1 needs a value" "see $0 --help" ;;
    esac
}

# usage: the comment at the top of the script that runs.
usage() { awk 'NR > 1 { if (!/^#/) exit; sub(/^# ?/, ""); print }' "$0"; }

# field FILE NAME: one field of a JSON object, in whatever case it is spelt; nothing where it, or the whole file, is empty.
# Resource Manager answers an output FUNCTION_APP_ID as `functioN_APP_ID` too, so case can't be relied on.
field() {
    "$python" - "$1" "$2" <<'PYTHON'
import json, sys

found = json.loads(open(sys.argv[1], encoding="utf-8").read() or "{}") or {}
value = next((found[key] for key in found if key.lower() == sys.argv[2].lower()), None)
if isinstance(value, dict) and "value" in value:
    value = value["value"]
if value is not None:
    print(value if isinstance(value, str) else json.dumps(value))
PYTHON
}

# app_token CLIENT_ID: a token for the app, by the account that az is logged in with.
app_token() {
    az account get-access-token --scope "api://$1/.default" --query accessToken --output tsv | lines ||
        stop "there is no token for api://$1" "give this account the app role Rotation.Operator: docs/deploy.md"
}

# packed ZIP NAME: one file of a package, to standard output.
packed() {
    "$python" -c 'import sys, zipfile; sys.stdout.buffer.write(zipfile.ZipFile(sys.argv[1]).read(sys.argv[2]))' "$1" "$2"
}

# recorded NAME [PARAMETER [FORMAT]]: what the last run of deploy.sh wrote down, by default the id of the function app; nothing
# before the first. It stands in the deployment of the subscriptions, which comes last: a failed change of the rest hides
# nothing.
recorded() {
    local deployments
    deployments=$(az deployment sub list --query "[?name=='keyturn-$1-subscription'].name" --output tsv) ||
        stop "the deployments can't be read" "run: az login; and have Reader on the subscription"
    if [ -n "$deployments" ]; then
        az deployment sub show --name "keyturn-$1-subscription" \
            --query "properties.parameters.${2:-functionAppId}.value" --output "${3:-tsv}"
    fi
}

# lines: what az prints as tsv, on any system.
lines() { tr -d '\r' | sed '/^$/d'; }

# seen WORDS …: what az lists; needs a folder $work; none where what they belong to is gone. A look that failed is not the same.
seen() {
    if az "$@" --output tsv </dev/null >"$work/seen" 2>"$work/error"; then
        lines <"$work/seen"
    elif ! grep -Eq '\((ResourceNotFound|ResourceGroupNotFound|ParentResourceNotFound|SubscriptionNotFound)\)' "$work/error"; then
        cat "$work/error" >&2
        stop "it can't be looked at: az $*" "the account needs Reader there; then run this again"
    fi
}

# by_hand FOLDER POLICY PRINCIPAL: what the deployment can't grant, after look_first.sh FOLDER.
by_hand() {
    local shown=() file commands
    for file in "$1"/shown-*.json; do
        if [ -f "$file" ]; then shown+=(--vault "$file"); fi
    done
    commands=$("$python" -m infra.rights steps "$2" --principal "$3" --vaults "$(cat "$1/names")" ${shown[@]+"${shown[@]}"})
    if [ -z "$commands" ]; then
        note "nothing is left for administrators of the directory, of vaults or of databases to grant"
    else
        note "what only administrators of the directory, of vaults and of databases can grant; twice does no harm:"
        printf '%s\n' "$commands"
    fi
}

# left_behind FOLDER PRINCIPAL: what stays of vaults that have left. To be told before the record of them is written anew.
left_behind() {
    [ -s "$1/left" ] || return 0
    note "what stays of vaults that have left; keep this, and run what you agree with:"
    printf 'PRINCIPAL=%s\n' "$2"
    cat "$1/left"
}

# deployed NAME: the id of its function app; stops where there is none.
deployed() {
    local app
    app=$(recorded "$1") || exit 1
    [ -n "$app" ] || stop "there is no deployment $1 in the subscription that az is set to" \
        "az account set --subscription …, or take the name that infra/deploy.sh was given"
    printf '%s\n' "$app"
}

# client_of APP_ID: the app registration that callers get tokens for; nothing where function keys alone are asked for.
client_of() {
    az rest --method get --url "$1/config/authsettingsV2?api-version=$api" --output tsv \
        --query 'properties.platform.enabled && properties.identityProviders.azureActiveDirectory.registration.clientId' |
        sed '/^False$/d; /^false$/d; /^None$/d' | lines || stop "the function app can't be read: $1" "have Reader on it"
}
