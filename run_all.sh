#!/usr/bin/env bash
# From three CSVs and a YAML to a submission and a report.
#
#   ./run_all.sh                                      the demo competition, configs/tweets.yaml
#   ./run_all.sh --quick                              the same path on 800 rows, two members
#   ./run_all.sh configs/r8.yaml --training.epochs 1  another competition, with overrides
#
# Every setting can be overridden; `python -m pipeline.prepare --help` lists them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
if [[ " $* " == *" --help "* || " $* " == *" -h "* ]]; then
    sed '1d; /^[^#]/,$d; s/^# \{0,1\}//' run_all.sh # the comment above
    exit
fi
source scripts/environment.sh
use_environment requirements.txt

config=configs/tweets.yaml
if [ $# -gt 0 ] && [ "${1#--}" = "$1" ]; then
    config=$1
    shift
fi
quick=() overrides=()
for word in "$@"; do
    if [ "$word" = --quick ]; then
        name=$(sed -n 's/^competition: *\([^ #]*\).*/\1/p' "$config" | tr -d "\"'")
        quick=(--competition "$name-quick" --folds.n 2 --training.epochs 1
            --members mean attention --data.train_rows 800 --blend.external)
    else
        overrides+=("$word")
    fi
done
# what was typed comes last and wins
overrides=(${quick[@]+"${quick[@]}"} ${overrides[@]+"${overrides[@]}"})

stage() {
    "$PYTHON" -m "pipeline.$1" "$config" ${overrides[@]+"${overrides[@]}"}
}

# data/<c>/ and data/backbones/, where it is a demo; everything that the config names is checked
stage prepare
# folds/<c>.csv
stage make_folds
# models/<c>/ and oof/<c>/<member>/oof.csv, nearly all of the time
stage train
# oof/<c>/<member>/test.csv
stage predict
# oof/<c>/blend_<method>/ and oof/<c>/leaderboard.csv
stage blend
# submissions/<c>/
stage submit
# reports/<c>/index.html, seconds
stage report
