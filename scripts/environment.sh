# Sourced by run_all.sh and run_tests.sh. `use_environment requirements.txt ...` sets PYTHON to a
# Python with the pinned packages: python3 if it has them, else .venv's, which is made or mended.

fail() { printf 'error: %s\n' "$*" >&2; exit 2; }

install() {
    local pid found lock=.venv/installing # our process id; stays behind a killed run
    pid=$(cat $lock 2>/dev/null) && [ "$pid" != $$ ] && kill -0 "$pid" 2>/dev/null &&
        fail "process $pid is installing into .venv; wait until it ends, or remove .venv"
    if [ -e $lock ] || ! .venv/bin/python -c 'import pip, tomllib' 2>/dev/null; then
        found=$(python3 --version 2>&1 || true)
        python3 -c 'import tomllib' 2>/dev/null || # in the standard library from 3.11 on
            fail "python3 must be Python 3.11 or newer; found: ${found##*: }"
        echo "environment: making .venv"
        python3 -m venv --clear .venv || fail "could not make .venv; the lines above say why"
    fi
    echo "environment: installing $* into .venv; this can take minutes"
    echo $$ >$lock
    .venv/bin/python -m pip install -q --disable-pip-version-check --no-user "${@/#/-r}" || {
        rm $lock
        fail "pip could not install $*; the lines above say why"
    }
    rm $lock
}

use_environment() {
    local lack
    PYTHON=$(command -v python3 || true)
    if ! lack=$("$PYTHON" scripts/check_pins.py "$@" 2>&1); then
        [ -z "${VIRTUAL_ENV-}${CONDA_PREFIX-}" ] ||
            echo "environment: using .venv; in $PYTHON, ${lack##*$'\n'}"
        PYTHON=$PWD/.venv/bin/python
        "$PYTHON" scripts/check_pins.py "$@" >/dev/null 2>&1 || install "$@"
    fi
    "$PYTHON" -c 'import ctypes, sys; sys.platform == "linux" and ctypes.CDLL("libgomp.so.1")' \
        2>/dev/null || fail "LightGBM needs libgomp; install it, on Debian: apt-get install libgomp1"
}
