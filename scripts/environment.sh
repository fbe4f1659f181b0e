# Sourced by run_all.sh and run_tests.sh. `use_environment requirements.txt ...` sets PYTHON to a
# Python with the pinned packages: python3 if it has them, else .venv's, which is made or mended.

fail() { printf 'error: %s\n' "$*" >&2; exit 2; }

lock() { # on descriptor 9, so it ends with this shell and its children
    exec 9>.venv.lock
    python3 -c '
import fcntl
try:
    fcntl.flock(9, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    print("environment: waiting for another run, which is installing into .venv", flush=True)
    fcntl.flock(9, fcntl.LOCK_EX)' 2>/dev/null || true # a python3 of no use has an error below
}

install() {
    local found unfinished=.venv/installing # stays behind a killed run
    if [ -e $unfinished ] || ! .venv/bin/python -c 'import pip, tomllib' 2>/dev/null; then
        found=$(python3 --version 2>&1 || true)
        python3 -c 'import tomllib' 2>/dev/null || # in the standard library from 3.11 on
            fail "python3 must be Python 3.11 or newer; found: ${found##*: }"
        echo "environment: making .venv"
        python3 -m venv --clear .venv || fail "could not make .venv; the lines above say why"
    fi
    echo "environment: installing $* into .venv; this can take minutes"
    touch $unfinished
    .venv/bin/python -m pip install -q --disable-pip-version-check --no-user "${@/#/-r}" || {
        rm $unfinished
        fail "pip could not install $*; the lines above say why"
    }
    rm $unfinished
}

has_pins() { "$PYTHON" scripts/check_pins.py "$@" >/dev/null 2>&1; }

use_environment() {
    local lack
    PYTHON=$(command -v python3 || true)
    if ! lack=$("$PYTHON" scripts/check_pins.py "$@" 2>&1); then
        [ -z "${VIRTUAL_ENV-}${CONDA_PREFIX-}" ] ||
            echo "environment: using .venv; in $PYTHON, ${lack##*$'\n'}"
        PYTHON=$PWD/.venv/bin/python
        if ! has_pins "$@"; then
            lock
            has_pins "$@" || install "$@" # another run may have installed them meanwhile
            exec 9>&-
        fi
    fi
    "$PYTHON" -c 'import ctypes, sys; sys.platform == "linux" and ctypes.CDLL("libgomp.so.1")' \
        2>/dev/null || fail "LightGBM needs libgomp; install it, on Debian: apt-get install libgomp1"
}
