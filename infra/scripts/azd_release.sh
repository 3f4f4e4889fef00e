#!/usr/bin/env bash
# azd_release.sh
# After `azd provision`: builds the package, uploads it, waits for the function, subscribes it, and asks for its health.
# azd hands over the outputs of infra/main.bicep. KEYTURN_SMOKE_SECRET (VAULT/NAME): a rotation of it is planned too.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=infra/scripts/say.sh
. "$here/say.sh"
cd "$here/../.."
: "${FUNCTION_APP_ID:?azd sets it}" "${FUNCTION_APP_URL:?azd sets it}" "${TOPICS:?azd sets it}"
package=${KEYTURN_PACKAGE:-}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if [ -z "$package" ]; then
    package=$work/keyturn.zip
    "$python" infra/package.py --folder "$work/app" --zip "$package" || stop "the package can't be built" "see the line above"
fi
step "code"
bash "$here/publish.sh" "$FUNCTION_APP_ID" "$package"
step "functions"
bash "$here/wait_for_function.sh" "$FUNCTION_APP_ID" near_expiry
step "events"
bash "$here/look_first.sh" "${AZURE_ENV_NAME:?azd sets it}" "${LOCATION:?azd sets it}" "$PWD/infra/main.bicepparam" "$work/vaults"
left_behind "$work/vaults" "${IDENTITY_PRINCIPAL_ID:?azd sets it}"
printf '%s' "$TOPICS" >"$work/topics.json"
bash "$here/subscribe.sh" --name "$AZURE_ENV_NAME" --location "$LOCATION" --app "$FUNCTION_APP_ID" \
    --storage "${STORAGE_ACCOUNT_ID:?azd sets it}" --dead-letters "${DEAD_LETTER_CONTAINER:?azd sets it}" --topics "$work/topics.json"
by_hand "$work/vaults" policy.toml "$IDENTITY_PRINCIPAL_ID"
step "smoke test"
smoke=(--url "$FUNCTION_APP_URL" --package "$package")
if [ -n "${KEYTURN_SMOKE_SECRET:-}" ]; then smoke+=(--secret "$KEYTURN_SMOKE_SECRET"); fi
if [ -n "${KEYTURN_CLIENT_ID:-}" ]; then smoke+=(--client-id "$KEYTURN_CLIENT_ID"); fi
bash "$here/smoke.sh" "${smoke[@]}"
step "deployed: $FUNCTION_APP_URL"
