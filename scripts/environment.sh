# Sourced by run_all.sh and run_tests.sh: `use_environment requirements.txt ...` finds or makes a
# Python environment that meets the pins and puts its path into $PYTHON.

fail() {
    printf 'error: %s\n' "$*" >&2
    exit 2
}

# Whether a Python has exactly the versions pinned in the files; prints the first that differs.
meets_pins() {
    "$1" - "${@:2}" <<'PY'
import re
import sys
from importlib.metadata import PackageNotFoundError, version

for path in sys.argv[1:]:
    for line in open(path, encoding="utf-8"):
        pin = re.match(r"([A-Za-z0-9_.-]+)==(\S+)", line)
        if pin is None:
            continue
        try:
            found = version(pin[1]).partition("+")[0]
        except PackageNotFoundError:
            found = "none"
        if found != pin[2]:
            sys.exit(f"{pin[1]} is {found}, should be {pin[2]}")
PY
}

# The demos are fetched by pip, so an environment without it will not do.
has_pip() {
    "$1" -m pip --version >/dev/null 2>&1 || { echo "it has no pip"; return 1; }
}

check_system() {
    command -v "$1" >/dev/null || fail "$1 not found; install Python 3.11 or newer"
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        fail "$("$1" --version) is too old; install Python 3.11 or newer and put it first on PATH"
    "$1" - <<'PY' || fail "LightGBM needs libgomp.so.1; install it, on Debian: apt-get install libgomp1"
import ctypes
import sys

if sys.platform == "linux":
    try:
        ctypes.CDLL("libgomp.so.1")
    except OSError:
        sys.exit(1)
PY
}

use_environment() {
    local active="${VIRTUAL_ENV:-${CONDA_PREFIX:-}}" reason file missing=""
    if [ -n "$active" ] && [ -x "$active/bin/python" ]; then
        check_system "$active/bin/python"
        if reason=$(meets_pins "$active/bin/python" "$@" 2>&1 && has_pip "$active/bin/python"); then
            PYTHON="$active/bin/python"
            return
        fi
        echo "environment: $active does not meet the pins ($reason); using .venv instead"
    else
        check_system python3
    fi
    for file in "$@"; do
        [ "$(cat ".venv/.installed-$file" 2>/dev/null)" = "$(cksum <"$file")" ] || missing=yes
    done
    # its Python may have been replaced, or a package of it, since it was stamped
    if [ -z "$missing" ] && ! reason=$(meets_pins .venv/bin/python "$@" 2>&1); then
        echo "environment: .venv does not meet the pins any more ($reason)"
        missing=yes
    fi
    if [ -n "$missing" ]; then
        { [ -x .venv/bin/python ] && has_pip .venv/bin/python >/dev/null; } || make_venv
        echo "environment: installing $* into .venv, once"
        .venv/bin/python -m pip install --quiet --disable-pip-version-check "${@/#/--requirement=}" ||
            fail "pip could not install $*; its last lines say why"
        for file in "$@"; do
            cksum <"$file" >".venv/.installed-$file"
        done
    fi
    PYTHON="$PWD/.venv/bin/python"
}

make_venv() {
    echo "environment: making .venv"
    python3 -c 'import ensurepip' 2>/dev/null ||
        fail "this Python has no pip to give; install it, on Debian: apt-get install python3-venv"
    python3 -m venv --clear .venv  # what was left of one that was never finished goes
}
