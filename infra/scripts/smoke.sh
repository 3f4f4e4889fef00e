#!/usr/bin/env bash
# smoke.sh --url URL [--package ZIP] [--secret VAULT/NAME] [--client-id ID]
# Asks a deployed app whether it is the right one, healthy, and closed to strangers, and what it would do with a secret.
#   --package ZIP        the answer must come from this package
#   --secret VAULT/NAME  plan a rotation of it; nothing is changed
#   --client-id ID       the app registration that App Service authentication asks tokens for; without, function keys are asked for
# A rotation is planned by SMOKE_TOKEN, or a token that is got here; without --client-id by the key in SMOKE_FUNCTION_KEY.
set -euo pipefail
# shellcheck source=infra/scripts/say.sh
. "$(dirname "$0")/say.sh"
url='' package='' secret='' client=''
tries=${KEYTURN_TRIES:-60}
while [ $# -gt 0 ]; do
    case $1 in
    --url) need "$@"; url=${2%/} ;;
    --package) need "$@"; package=$2 ;;
    --secret) need "$@"; secret=$2 ;;
    --client-id) need "$@"; client=$2 ;;
    *) usage; exit 2 ;;
    esac
    shift 2
done
[ -n "$url" ] || { usage; exit 2; }
case $secret in '' | */*) ;; *) stop "--secret is $secret" "write it as VAULT/NAME" ;; esac

# First of all: a pipeline's federated assertion ends after some minutes, and then there is no token for another resource any more
# (AADSTS700024; Azure/login, issue 372). That must not look as if the release were bad.
header=''
if [ -n "$secret" ] && [ -n "$client" ]; then
    token=${SMOKE_TOKEN:-$(app_token "$client")} || exit 1
    header="Authorization: Bearer $token"
elif [ -n "$secret" ]; then
    [ -n "${SMOKE_FUNCTION_KEY:-}" ] || stop "there is no key" "set SMOKE_FUNCTION_KEY, or name the app registration by --client-id"
    header="x-functions-key: $SMOKE_FUNCTION_KEY"
fi

answer=$(mktemp)
trap 'rm -f "$answer"' EXIT
ask() { curl --silent --show-error --max-time 240 --output "$answer" --write-out '%{http_code}' "$@" || true; }
told() { tr -d '\r\n' <"$answer" | head -c 500; }

expected=''
if [ -n "$package" ]; then expected=$(packed "$package" package.txt); fi
count=0
while :; do
    status=$(ask "$url/api/health")
    number=''
    if [ "$status" = 200 ]; then number=$(field "$answer" package 2>/dev/null || true); fi
    if [ "$status" = 200 ] && [ "$number" = "${expected:-$number}" ]; then break; fi
    count=$((count + 1))
    if [ "$count" -ge "$tries" ]; then
        [ "$status" != 200 ] || stop "package ${number:-(none)} answers, and not $expected" "upload it again: infra/scripts/publish.sh"
        stop "$url/api/health answers $status" "the app does not start: its first error line names the setting or the line of policy.toml"
    fi
    sleep "$pause"
done
note "healthy${number:+, package $number}: $(told)"

# With App Service authentication it is the platform that refuses, by 401: 403 would be the app's own answer, to a caller that the
# platform let through. And a caller who writes the header by which the platform names callers must be nobody.
refused() {
    local who=$1 status
    shift
    : >"$answer"
    status=$(ask "$@" "$url/api/vaults/no-vault/secrets")
    case $status/$client in
    401/* | 403/) note "closed to $who ($status)" ;;
    503/*) stop "$url serves no caller: $(told)" "az webapp auth show; App Service authentication has to be on where ROTATION_HTTP_AUTH is entra" ;;
    *) stop "to $who $url answers $status" "take it off the network, and look at ROTATION_HTTP_AUTH and App Service authentication" ;;
    esac
}
refused "strangers"
if [ -n "$client" ]; then
    forged='{"auth_typ":"aad","role_typ":"roles","claims":[{"typ":"roles","val":"Rotation.Operator"}]}'
    refused "callers who claim to be an operator" --header "X-MS-CLIENT-PRINCIPAL: $(printf '%s' "$forged" | base64 | tr -d '\r\n')"
fi

[ -n "$secret" ] || { note "no secret was named: no rotation was planned"; exit 0; }
path="$url/api/vaults/${secret%%/*}/secrets/${secret#*/}/rotate?dry_run=true"
status=$(printf 'header = "%s"\n' "$header" | ask --config - --request POST --data '' "$path")
outcome=$(field "$answer" outcome 2>/dev/null || true)
case $status/$outcome in
200/planned | 200/not_due | 200/deferred) note "a rotation of $secret would be: $outcome" ;;
401/* | 403/) stop "the app does not let this account in ($status)" "give it the app role Rotation.Operator: docs/deploy.md" ;;
*) stop "a rotation of $secret can't be planned: $status $(told)" "docs/troubleshooting.md has each of these answers" ;;
esac
