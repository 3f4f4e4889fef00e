#!/usr/bin/env bash
# subscribe.sh --name NAME --location LOCATION --app ID --storage ID --dead-letters NAME --topics FILE [--what-if]
#              [-- PARAMETER=VALUE …]
# Subscribes the function near_expiry to the events of each vault. Doing it twice changes nothing.
# TOPICS is a file that holds the output TOPICS of infra/main.bicep. After -- stand parameters of infra/subscription.bicep.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=infra/scripts/say.sh
. "$here/say.sh"
name='' location='' app='' storage='' dead_letters='' topics='' act=create
while [ $# -gt 0 ]; do
    case $1 in
    --name) need "$@"; name=$2; shift ;;
    --location) need "$@"; location=$2; shift ;;
    --app) need "$@"; app=$2; shift ;;
    --storage) need "$@"; storage=$2; shift ;;
    --dead-letters) need "$@"; dead_letters=$2; shift ;;
    --topics) need "$@"; topics=$2; shift ;;
    --what-if) act=what-if ;;
    --) shift; break ;;
    *) usage; exit 2 ;;
    esac
    shift
done
for given in "$name" "$location" "$app" "$storage" "$dead_letters" "$topics"; do
    [ -n "$given" ] || { usage; exit 2; }
done

output=none
[ "$act" = create ] || output=json
az deployment sub "$act" --name "keyturn-$name-subscription" --location "$location" \
    --template-file "$here/../subscription.bicep" \
    --parameters "name=keyturn-$name" "topics=@$topics" "functionAppId=$app" "storageAccountId=$storage" \
    "deadLetterContainer=$dead_letters" "$@" --output "$output" ||
    stop "the events can't be subscribed" \
        "if it says that the endpoint is not there, wait a minute and run it again; if the schema differs, delete the subscription first"
