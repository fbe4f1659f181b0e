#!/usr/bin/env bash
# From three CSVs and a YAML to a submission and a report; --help says how.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
if [[ " $* " == *" --help "* || " $* " == *" -h "* ]]; then
    sed '/^"""/,/^"""/!d; s/"""//; /^from/,$d' pipeline/__main__.py # its docstring; nothing is installed
    exit
fi
words=() PYTHON=
for word in "$@"; do
    if [ "$word" = --no-install ]; then PYTHON=python3; else words+=("$word"); fi
done
source scripts/environment.sh
[ -n "$PYTHON" ] || use_environment requirements.txt
if [[ " $* " == *" --list "* ]]; then
    exec "$PYTHON" -m scripts.reference --list
fi
exec "$PYTHON" -m pipeline ${words[@]+"${words[@]}"}
