#!/usr/bin/env bash
# Makes the virtual environment at $1. Prefers Python 3.13, on which Azure runs the app; takes 3.11 or newer.
set -euo pipefail
venv=$1

works() { "$1" -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

find_python() {
    local candidate
    for candidate in "${PYTHON:-}" python3.13 "$HOME"/.pyenv/versions/3.13*/bin/python3.13 \
        "${PYENV_ROOT:-/nonexistent}"/versions/3.13*/bin/python3.13 "$(command -v pyenv >/dev/null 2>&1 && pyenv root)"/versions/3.13*/bin/python3.13 \
        python3.14 python3.12 python3.11 python3; do
        if [ -n "$candidate" ] && works "$candidate"; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    echo "setup: no Python 3.11 or newer with its venv module; on Debian: apt-get install python3 python3-venv" >&2
    exit 1
}

python=$(find_python)
echo "setup: $("$python" --version) -> $venv"
# Only a fresh environment is surely the pinned one.
rm -rf "$venv"
if ! "$python" -m venv "$venv" 2>/dev/null; then
    echo "setup: Python can't make a virtual environment; on Debian: apt-get install python3-venv" >&2
    exit 1
fi
export PIP_DISABLE_PIP_VERSION_CHECK=1
"$venv/bin/python" -m pip install --quiet --require-hashes --no-deps -r requirements-dev.lock
"$venv/bin/python" -m pip install --quiet --require-hashes --no-deps --ignore-requires-python -r requirements-worker.lock
