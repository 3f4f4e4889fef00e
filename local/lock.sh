#!/usr/bin/env bash
# Writes the locks anew, after requirements*.txt were changed: every package, with the hashes of its files. UV: the program.
#   requirements.lock         what is deployed: Linux, Python 3.13
#   requirements-dev.lock     what tests and checks need, on Python 3.11 and newer
#   requirements-worker.lock  Microsoft's worker, which is installed without what it brings
#   requirements-checkov.lock the second opinion on templates, in an environment of its own
set -euo pipefail
uv=$1
compile() { "$uv" pip compile --quiet --generate-hashes --no-header --no-annotate "$@"; }
compile --python-version 3.13 --python-platform x86_64-manylinux_2_28 --only-binary :all: requirements.txt -o requirements.lock
compile --universal --python-version 3.11 requirements-dev.txt -o requirements-dev.lock
compile --universal --python-version 3.13 --no-deps requirements-worker.txt -o requirements-worker.lock
compile --universal --python-version 3.11 requirements-checkov.txt -o requirements-checkov.lock
