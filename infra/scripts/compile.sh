#!/usr/bin/env bash
# compile.sh
# Compiles the templates with the compiler that `az` has, or fetches. Stops where they don't compile, and says where that
# compiler is older than the one they were tested with (infra/bicep.version). Changes nothing.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=infra/scripts/say.sh
. "$here/say.sh"
[ $# -eq 0 ] || { usage; exit 2; }
sound=true
for template in main subscription; do
    az bicep build --file "$here/../$template.bicep" --stdout >/dev/null || sound=false
done
tested=$(cat "$here/../bicep.version")
found=$(az bicep version | sed -n 's/.*version \([0-9][0-9]*\.[0-9]*\.[0-9]*\).*/\1/p') || found=''
if "$python" -c 'import sys
found, tested = (tuple(map(int, one.split("."))) for one in sys.argv[1:])
sys.exit(found >= tested)' "${found:-0}" "$tested"; then
    $sound || stop "Bicep ${found:-of an unknown version} does not compile the templates; they were tested with $tested" "az bicep upgrade"
    note "Bicep ${found:-of an unknown version} compiles the templates; they were tested with $tested: az bicep upgrade"
else
    $sound || stop "the templates don't compile" "mend what the lines above name"
    note "Bicep $found compiles the templates"
fi
