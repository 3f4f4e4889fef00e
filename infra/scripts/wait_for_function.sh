#!/usr/bin/env bash
# wait_for_function.sh APP_ID FUNCTION
# Waits until the platform lists the function: before, nothing can be subscribed to it.
set -euo pipefail
# shellcheck source=infra/scripts/say.sh
. "$(dirname "$0")/say.sh"
[ $# -eq 2 ] || { usage; exit 2; }
app=$1 function=$2
tries=${KEYTURN_TRIES:-60}

count=0
while :; do
    # Listed are "APP/FUNCTION". A refusal is no end: while the app starts, it is an ordinary answer.
    if az rest --method get --url "$app/functions?api-version=$api" --query 'value[].name' --output tsv 2>/dev/null |
        tr -d '\r' | grep -q "/$function\$"; then
        break
    fi
    count=$((count + 1))
    [ "$count" -lt "$tries" ] ||
        stop "the app does not list $function" "the code does not start: look for the line 'ROTATION_…' in Application Insights: traces | where severityLevel >= 3"
    sleep "$pause"
done
note "$function is there"
