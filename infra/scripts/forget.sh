#!/usr/bin/env bash
# forget.sh --name NAME --principal ID --topics FILE [--what-if]
# Takes away what an earlier deployment left at vaults that stand in the parameters no longer: events, audit logs, alerts, and
# the right of the app's identity. Vaults, secrets, and topics that were not made here stay. To be run before subscribe.sh, since
# the last subscription of the events still tells from which vaults they came. TOPICS is as subscribe.sh has it.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=infra/scripts/say.sh
. "$here/say.sh"
name='' principal='' topics='' what_if=false
while [ $# -gt 0 ]; do
    case $1 in
    --name) need "$@"; name=$2; shift ;;
    --principal) need "$@"; principal=$2; shift ;;
    --topics) need "$@"; topics=$2; shift ;;
    --what-if) what_if=true ;;
    *) usage; exit 2 ;;
    esac
    shift
done
for given in "$name" "$principal" "$topics"; do
    [ -n "$given" ] || { usage; exit 2; }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

deployments=$(az deployment sub list --query "[?name=='keyturn-$name-subscription'].name" --output tsv) ||
    stop "the deployments can't be read" "run: az login; and have Reader on the subscription"
[ -n "$deployments" ] || exit 0
az deployment sub show --name "keyturn-$name-subscription" --query properties.parameters --output json >"$work/subscribed.json" ||
    stop "the deployment keyturn-$name-subscription can't be read" "run this again"
field "$work/subscribed.json" topics >"$work/former.json"
"$python" - "$work/former.json" "$topics" >"$work/gone" <<'PYTHON'
import json, pathlib, sys

former, now = (json.loads(pathlib.Path(file).read_text(encoding="utf-8") or "[]") for file in sys.argv[1:])
def key(one):
    return tuple(one[part].lower() for part in ("subscriptionId", "resourceGroup", "vault"))
kept = {key(one) for one in now}
for one in former:
    if key(one) not in kept:
        print("{subscriptionId} {resourceGroup} {vault} {name}".format(**one))
PYTHON

remedy="the account needs to be Owner, or Contributor and User Access Administrator, there; then run this again"
while read -r subscription group vault topic; do
    note "the vault $vault stands in the parameters no longer:"
    id="/subscriptions/$subscription/resourceGroups/$group/providers/Microsoft.KeyVault/vaults/$vault"
    end_events "$subscription" "$group" "$topic" "$name" "$remedy"
    end_audit "$id" "$remedy"
    az role assignment list --subscription "$subscription" --all --assignee "$principal" --output tsv </dev/null \
        --query "[].[id, scope]" | lines >"$work/rights" || stop "rights in $subscription can't be read" "the account needs Reader on it"
    az resource list --subscription "$subscription" --tag "keyturn=$name" --query '[].id' --output tsv </dev/null |
        lines >"$work/ours" || stop "resources of the subscription $subscription can't be read" "the account needs Reader on it"
    "$python" - "$id" "$topic" "$work" >"$work/goes" <<'PYTHON'
import pathlib, sys

vault, topic, work = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
group, name = vault.lower().split("/providers/")[0], vault.lower().split("/")[-1]
for line in (work / "rights").read_text(encoding="utf-8").splitlines():
    right, scope = line.split("\t")
    if scope.lower() == vault.lower():
        print("right", right)
alert = f"{group}/providers/microsoft.insights/metricalerts/keyturn-{name}-"
found = (work / "ours").read_text(encoding="utf-8").splitlines()
for one in found:  # an alert on a topic goes before the topic
    if one.lower().startswith(alert):
        print("resource", one)
for one in found:
    if one.lower() == f"{group}/providers/microsoft.eventgrid/systemtopics/{topic.lower()}":
        print("resource", one)
PYTHON
    while read -r kind one; do
        case $kind in
        right) would az role assignment delete --ids "$one" </dev/null || stop "a right can't be taken away: $one" "$remedy" ;;
        resource) would az resource delete --ids "$one" --output none </dev/null || stop "can't be deleted: $one" "$remedy" ;;
        esac
    done <"$work/goes"
done <"$work/gone"
