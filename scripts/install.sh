#!/bin/sh
# Install Sealwright and the packages of one lock into .venv, every hash checked. Uses uv where it can be had.
set -eu
lock=$1
python=.venv/bin/python

if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    rm -rf .venv
    found=$(scripts/find-python.sh)
    echo "making .venv with $("$found" --version)"
    "$found" -m venv .venv || {
        echo "This Python cannot make virtual environments. On Debian: apt-get install python3-venv" >&2
        exit 1
    }
fi

echo "installing the packages of $lock"
export PIP_DISABLE_PIP_VERSION_CHECK=1 UV_PYTHON_DOWNLOADS=never
if "$python" -m pip install --quiet --require-hashes -r requirements-installer.lock 2>/dev/null; then
    install="$python -m uv pip install --quiet --python $python"
else
    install="$python -m pip install --quiet"
fi
$install --require-hashes -r "$lock"
$install --no-deps --no-build-isolation --editable .
