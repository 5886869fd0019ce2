#!/bin/sh
# Install Sealwright and the packages of one lock into .venv, every hash checked. Uses uv where it can be had.
set -eu
lock=$1
python=.venv/bin/python
export PIP_DISABLE_PIP_VERSION_CHECK=1 UV_PYTHON_DOWNLOADS=never

make_environment() { # a half-made one must not stay: the next run would take it for whole
    found=$(scripts/find-python.sh) || exit 1 # said why; inside of || the shell does not stop by itself
    echo "making .venv with $("$found" --version)"
    rm -rf .venv
    "$found" -m venv .venv && return
    rm -rf .venv
    package=$("$found" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
    echo "This Python cannot make virtual environments. On Debian: apt-get install $package" >&2
    exit 1
}

# Compiled here, as pip does: where nothing may be written later, every start would compile a thousand files anew.
install() { # uv has settings of its own, so it may miss a registry that pip is set up for
    if "$python" -m uv --version >/dev/null 2>&1; then
        "$python" -m uv pip install --quiet --compile-bytecode --python "$python" "$@" && return
        echo "uv could not install that; trying pip" >&2
    fi
    "$python" -m pip install --quiet "$@"
}

"$python" -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || make_environment
echo "installing the packages of $lock"
"$python" -m pip install --quiet --require-hashes -r requirements-installer.lock 2>/dev/null || true
install --require-hashes -r "$lock"
install --no-deps --no-build-isolation --editable .
"$python" -m compileall -q src
