#!/usr/bin/env bash
# azd_down.sh
# Before `azd down`: stops it. azd deletes every resource group that the deployment touches, and those of the vaults are among
# them; infra/destroy.sh takes away what was made, and nothing else.
set -euo pipefail
# shellcheck source=infra/scripts/say.sh
. "$(dirname "$0")/say.sh"
stop "azd down would delete the resource groups of your vaults too" \
    "infra/destroy.sh --name ${AZURE_ENV_NAME:-NAME} --what-if shows what would go; without --what-if it goes"
