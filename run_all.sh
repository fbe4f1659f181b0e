#!/usr/bin/env bash
# From three CSVs and a YAML to a submission and a report.
#
#   ./run_all.sh                                      the demo competition, configs/tweets.yaml
#   ./run_all.sh --quick                              the same on 800 rows, two members, two folds
#   ./run_all.sh configs/r8.yaml --training.epochs 1  another competition, with a setting changed
#
# Every stage gets these words; `python -m pipeline.prepare --help` lists all settings.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
if [[ " $* " == *" --help "* || " $* " == *" -h "* ]]; then
    sed '1d; /^[^#]/,$d; s/^# \{0,1\}//' run_all.sh # the comment above
    exit
fi
source scripts/environment.sh
use_environment requirements.txt

config=(configs/tweets.yaml) # unless a word is another config, wherever it stands
for word in "$@"; do
    case $word in -*) ;; *.yaml | *.yml) config=() ;; esac
done

stage() { # beside this shell, which hears SIGTERM and SIGINT while it waits
    "$PYTHON" -m "pipeline.$1" ${config[@]+"${config[@]}"} "${@:2}" &
    child=$!
    wait "$child"
}
stop() {
    trap '' INT TERM
    kill -TERM "$child" 2>/dev/null
    wait "$child" || true
    exit "$1"
}
trap 'stop 130' INT
trap 'stop 143' TERM

# data/<c>/ and data/backbones/, where it is a demo; everything that the config names is checked
stage prepare "$@"
# folds/<c>.csv
stage make_folds "$@"
# models/<c>/ and oof/<c>/<member>/oof.csv, nearly all of the time
stage train "$@"
# oof/<c>/<member>/test.csv
stage predict "$@"
# oof/<c>/blend_<method>/ and oof/<c>/leaderboard.csv
stage blend "$@"
# submissions/<c>/
stage submit "$@"
# reports/<c>/index.html, seconds
stage report "$@"
