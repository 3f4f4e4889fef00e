#!/usr/bin/env bash
# infra/destroy.sh --name NAME [--what-if] [--yes] [--with-ledger]
# Takes a deployment away again: events, app, its rights, alerts, storage, and the app registration if this account owns it.
#
# Never touched: vaults and secrets, databases, and all that infra/deploy.sh did not make. Vaults that it made stay as well.
# The ledger stays too, since it is the history of every secret, and a later deployment of the same name goes on with it;
# --with-ledger deletes it.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=infra/scripts/say.sh
. "$root/infra/scripts/say.sh"

name='' what_if=false yes=false with_ledger=false
while [ $# -gt 0 ]; do
    case $1 in
    --name) need "$@"; name=$2; shift ;;
    --what-if) what_if=true ;;
    --yes) yes=true ;;
    --with-ledger) with_ledger=true ;;
    --help | -h) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
    esac
    shift
done
[ -n "$name" ] || stop "--name is needed" "infra/destroy.sh --help"
[[ $name =~ ^[a-z0-9][a-z0-9-]{1,15}[a-z0-9]$ ]] || stop "--name is $name" "take the name that infra/deploy.sh was given"
az account show --output none 2>/dev/null || stop "az is not logged in" "az login"

# would WORDS …: do it, or where what_if is true say so.
would() {
    if $what_if; then note "would: $*"; else "$@"; fi
}

# end_events SUBSCRIPTION GROUP TOPIC: no event of that topic comes to the deployment any more.
end_events() {
    local at=(--subscription "$1" --resource-group "$2" --system-topic-name "$3") there
    there=$(seen eventgrid system-topic event-subscription list "${at[@]}" --query "[?name=='keyturn-$name'].name")
    [ -n "$there" ] || return 0
    would az eventgrid system-topic event-subscription delete "${at[@]}" --name "keyturn-$name" --yes </dev/null ||
        stop "the subscription keyturn-$name of $3 can't be deleted" \
            "the account needs EventGrid EventSubscription Contributor on it; then run this again"
}

# end_audit RESOURCE: the logs of a vault, or of its topic, go to our workspace no longer.
end_audit() {
    local there
    there=$(seen monitor diagnostic-settings list --resource "$1" --query "[?name=='keyturn'].name")
    [ -n "$there" ] || return 0
    would az monitor diagnostic-settings delete --resource "$1" --name keyturn </dev/null ||
        stop "the diagnostic setting keyturn of $1 can't be deleted" \
            "the account needs Monitoring Contributor on it; then run this again"
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

step "1/5 what there is"
az deployment sub list --query "[?name=='keyturn-$name' || name=='keyturn-$name-subscription'].name" --output tsv |
    lines >"$work/deployments" || stop "deployments can't be read" "the account needs Reader on the subscription"
record() {
    ! grep -qx "$1" "$work/deployments" || az deployment sub show --name "$1" --query "$2" --output json
}
record "keyturn-$name" properties.outputs >"$work/outputs.json"
record "keyturn-$name-subscription" properties.parameters >"$work/subscribed.json"
# Either may know of a vault that the other does not: after a change that failed on its way.
field "$work/outputs.json" TOPICS >"$work/topics.json"
field "$work/subscribed.json" topics >>"$work/topics.json"
# A topic stands where its vault does, which may be in another subscription.
account=$(az account show --query id --output tsv | tr -d '\r')
"$python" - "$account" "$work" <<'PYTHON'
import json, pathlib, sys

account, work = sys.argv[1], pathlib.Path(sys.argv[2])
lists = [json.loads(line) for line in (work / "topics.json").read_text(encoding="utf-8").splitlines()]
group = "/subscriptions/{subscriptionId}/resourceGroups/{resourceGroup}/providers/"
vault, topic = group + "Microsoft.KeyVault/vaults/{vault}", group + "Microsoft.EventGrid/systemTopics/{name}"
topics = list({topic.format(**one).lower(): one for topics in lists for one in topics}.values())
def put(name, rows):
    (work / name).write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")
put("topics", [("{subscriptionId} {resourceGroup} {name} " + topic).format(**one) for one in topics])
put("vaults", [("{subscriptionId} {resourceGroup} {vault} " + vault).format(**one) for one in topics])
put("subscriptions", dict.fromkeys([account, *(one["subscriptionId"] for one in topics)]))
PYTHON
: >"$work/all"
while read -r subscription; do
    az resource list --subscription "$subscription" --tag "keyturn=$name" --output tsv </dev/null \
        --query "[].[id, type, tags.\"keyturn-keep\" || 'none']" | lines >>"$work/all" ||
        stop "resources of the subscription $subscription can't be read" "the account needs Reader on it"
done <"$work/subscriptions"
: >"$work/app" && : >"$work/rest" && : >"$work/stay"
while IFS=$'\t' read -r id type keep; do
    case $(printf '%s' "$type" | tr '[:upper:]' '[:lower:]')/$keep in
    microsoft.keyvault/vaults/*) echo "$id" >>"$work/stay" ;;
    */ledger) if $with_ledger; then echo "$id" >>"$work/rest"; else echo "$id" >>"$work/stay"; fi ;;
    # The app first: nothing must be left that rotates while its ledger goes.
    microsoft.web/sites/*) echo "$id" >>"$work/app" ;;
    *) echo "$id" >>"$work/rest" ;;
    esac
done <"$work/all"
# A topic that was made here may serve others by now.
{ grep -i '/systemtopics/' "$work/rest" || true; } >"$work/made"
while read -r id; do
    others=$(seen eventgrid system-topic event-subscription list --subscription "$(cut -d / -f 3 <<<"$id")" \
        --resource-group "$(cut -d / -f 5 <<<"$id")" --system-topic-name "${id##*/}" --query "[?name!='keyturn-$name'].name")
    [ -n "$others" ] || continue
    { grep -vxF "$id" "$work/rest" || true; } >"$work/less"
    mv "$work/less" "$work/rest"
    echo "$id" >>"$work/stay"
done <"$work/made"
cat "$work/app" "$work/rest" >"$work/go"
if [ ! -s "$work/go" ] && [ ! -s "$work/deployments" ]; then
    note "nothing is left of keyturn-$name"
    if [ -s "$work/stay" ]; then note "still there, on purpose:" && sed 's/^/   /' "$work/stay"; fi
    exit 0
fi
sed 's/^/   goes: /' "$work/go"
sed 's/^/   stays: /' "$work/stay"
if ! $what_if && ! $yes; then
    printf '\nDelete what goes? Type the name: '
    read -r answer
    [ "$answer" = "$name" ] || stop "not confirmed; nothing was changed" "type $name, or pass --yes"
fi

step "2/5 events and audit logs"
while read -r subscription group topic id; do
    end_events "$subscription" "$group" "$topic"
    end_audit "$id"
done <"$work/topics"
while read -r _ _ _ id; do
    end_audit "$id"
done <"$work/vaults"

step "3/5 rights"
identity=$(grep -i '/userassignedidentities/' "$work/go" || true)
if [ -z "$identity" ]; then
    note "no identity of ours is left; one that was given keeps its rights: az role assignment list --all --assignee ID"
else
    principal=$(az identity show --ids "$identity" --query principalId --output tsv | tr -d '\r') ||
        stop "the identity can't be read: $identity" "the account needs Reader on it"
    while read -r subscription group vault _; do
        at=(--subscription "$subscription" --resource-group "$group" --name "$vault")
        # Those of a vault that decides by roles by now are of no effect, and can't be changed.
        roles=$(seen keyvault show "${at[@]}" --query properties.enableRbacAuthorization)
        policy=$(seen keyvault show "${at[@]}" --query "properties.accessPolicies[?objectId=='$principal'].objectId")
        case $roles in [tT]rue) continue ;; esac
        [ -n "$policy" ] || continue
        would az keyvault delete-policy "${at[@]}" --object-id "$principal" --output none </dev/null ||
            stop "an access policy can't be taken away: ${at[*]}" "the account needs Key Vault Contributor; then run this again"
    done <"$work/vaults"
    while read -r subscription; do
        az role assignment list --subscription "$subscription" --all --assignee "$principal" --query '[].id' --output tsv </dev/null |
            lines >"$work/assignments" || stop "rights in $subscription can't be read" "the account needs Reader on it"
        while read -r id; do
            would az role assignment delete --ids "$id" </dev/null ||
                stop "a right can't be taken away: $id" "the account needs User Access Administrator; then run this again"
        done <"$work/assignments"
    done <"$work/subscriptions"
fi
while read -r subscription; do
    az role definition list --subscription "$subscription" --custom-role-only true --output tsv </dev/null \
        --query "[?ends_with(roleName, ' ($name)') && starts_with(roleName, 'Keyturn ')].name" |
        lines >"$work/roles" || stop "roles of $subscription can't be read" "the account needs Reader on it"
    while read -r role; do
        would az role definition delete --subscription "$subscription" --name "$role" </dev/null ||
            note "the role $role stays: it is assigned elsewhere, or may not be deleted"
    done <"$work/roles"
done <"$work/subscriptions"

step "4/5 resources"
if $what_if; then
    sed 's/^/   would: az resource delete --ids /' "$work/go"
else
    # What hangs on something else goes in a later round.
    while [ -s "$work/go" ]; do
        : >"$work/left"
        while read -r id; do
            if az resource delete --ids "$id" --output none </dev/null 2>"$work/error"; then
                note "deleted $id"
            else
                echo "$id" >>"$work/left"
            fi
        done <"$work/go"
        if [ "$(grep -c . "$work/left" || true)" -eq "$(grep -c . "$work/go")" ]; then
            cat "$work/error" >&2
            stop "can't be deleted: $(tr '\n' ' ' <"$work/left")" "mend what the line above names (a lock, an immutable container), and run this again"
        fi
        mv "$work/left" "$work/go"
    done
fi

step "5/5 app registration and records"
display="Keyturn $name"
if client=$(az ad app list --show-mine --query "[?displayName=='$display'].appId" --output tsv 2>/dev/null | lines) && [ -n "$client" ]; then
    for id in $client; do would az ad app delete --id "$id" || note "the app registration $id stays: an owner has to delete it"; done
else
    note "this account owns no app registration \"$display\""
fi
while read -r deployment; do
    would az deployment sub delete --name "$deployment" </dev/null || note "the record $deployment stays"
done <"$work/deployments"

step "done"
group=$(field "$work/outputs.json" RESOURCE_GROUP)
if [ -n "$group" ] && ! $what_if && [ -z "$(az resource list --resource-group "$group" --query '[].id' --output tsv)" ]; then
    note "the resource group $group is empty now: az group delete --name $group"
fi
note "staged secrets (NAME--staged, all disabled) and tags stay in the vaults; secrets are rotated no longer"
if [ -s "$work/stay" ]; then
    note "left on purpose:"
    sed 's/^/   /' "$work/stay"
fi
