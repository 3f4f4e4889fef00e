#!/usr/bin/env bash
# infra/check_rights.sh --name NAME [--policy FILE]
# Holds the rights of a deployment's identity against what its policy needs: says what is missing and what is too much,
# a line each, and ends with 2 then. Changes nothing.
#
#   --name NAME      the deployment, as infra/deploy.sh was given it
#   --policy FILE    default: policy.toml of this checkout
#
# Who runs it needs Reader on the subscriptions; and where a rule rotates an application's secret, Directory Readers.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=infra/scripts/say.sh
. "$root/infra/scripts/say.sh"

name='' policy=$root/policy.toml
while [ $# -gt 0 ]; do
    case $1 in
    --name) need "$@"; name=$2; shift ;;
    --policy) need "$@"; policy=$2; shift ;;
    --help | -h) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
    esac
    shift
done
[ -n "$name" ] || stop "--name is needed" "infra/check_rights.sh --help"
[ -f "$policy" ] || stop "there is no file $policy" "pass the policy that is deployed as --policy"
case $policy in /*) ;; *) policy=$PWD/$policy ;; esac
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$root" # for rotation/ and infra/rights

"$python" -m infra.rights derive "$policy" >"$work/rights.json" ||
    stop "no rights can be derived from $policy" "mend what the line above names"
account=$(az account show --query id --output tsv 2>/dev/null | tr -d '\r') || stop "az is not logged in" "az login"
az deployment sub show --name "keyturn-$name" --query properties.outputs --output json >"$work/outputs.json" ||
    stop "there is no deployment keyturn-$name in the subscription $account" \
        "az account set --subscription …, or take the name that infra/deploy.sh was given"
field "$work/outputs.json" PLACES >"$work/places.json"
[ -s "$work/places.json" ] || stop "the deployment keyturn-$name has no outputs: it failed" "run infra/deploy.sh"
principal=$(field "$work/places.json" principalId)
[ -n "$principal" ] || stop "the deployment keyturn-$name names no principalId" "run infra/deploy.sh again"

# Roles are given where the vaults and the targets are, which may be in other subscriptions.
"$python" - "$account" "$work" <<'PYTHON'
import json, pathlib, sys

account, work = sys.argv[1], pathlib.Path(sys.argv[2])
places = json.loads((work / "places.json").read_text(encoding="utf-8"))
grants = json.loads((work / "rights.json").read_text(encoding="utf-8"))["grants"]
ids = [one for place in places.values() if isinstance(place, list) for one in place]
found = [account.lower(), *(one.split("/")[2].lower() for one in ids), *(one["scope"].split("/")[2].lower() for one in grants)]
(work / "subscriptions").write_text("".join(f"{one}\n" for one in dict.fromkeys(found)), encoding="utf-8")
vaults = [one.split("/") for one in places.get("vault", [])]
(work / "vaults").write_text("".join(f"{one[2]} {one[4]} {one[8]}\n" for one in vaults), encoding="utf-8")
PYTHON
files=(--places "$work/places.json")
while read -r subscription; do
    az role assignment list --subscription "$subscription" --assignee "$principal" --all --include-inherited --include-groups \
        --output json </dev/null >"$work/granted-$subscription.json" ||
        stop "rights in $subscription can't be read" "the account needs Reader on it"
    az role definition list --subscription "$subscription" --custom-role-only true --output json </dev/null \
        >"$work/definitions-$subscription.json" || stop "roles of $subscription can't be read" "the account needs Reader on it"
    files+=(--granted "$work/granted-$subscription.json" --definitions "$work/definitions-$subscription.json")
done <"$work/subscriptions"
while read -r subscription group vault; do
    az keyvault show --subscription "$subscription" --resource-group "$group" --name "$vault" --output json </dev/null \
        >"$work/vault-$vault.json" || stop "the vault $vault can't be read" "the account needs Reader on it"
    files+=(--vault "$work/vault-$vault.json")
done <"$work/vaults"
if [ "$(field "$work/rights.json" graph)" != "[]" ]; then
    graph=$(az cloud show --query endpoints.microsoftGraphResourceId --output tsv | tr -d '\r')
    for kind in appRoleAssignments ownedObjects; do
        az rest --method get --url "${graph%/}/v1.0/servicePrincipals/$principal/$kind?\$top=999" >"$work/$kind.json" ||
            stop "Graph does not tell the identity's $kind" "the account needs Directory Readers"
    done
    files+=(--app-roles "$work/appRoleAssignments.json" --owned "$work/ownedObjects.json")
fi
# The deployment grants on each of its vaults, and the sweep reads them, whether or not a rule names them.
vaults=$(cut -d " " -f 3 "$work/vaults" | paste -s -d , -)
"$python" -m infra.rights check "$policy" --vaults "$vaults" "${files[@]}"
