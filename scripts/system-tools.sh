#!/bin/sh
# The programs outside of Python that tests use as peers. What cannot be had is listed, and its tests skip.
set -u
JOSE_VERSION=6.2.18
missing=""
if [ "$(id -u)" = 0 ]; then as_root=""; elif sudo -n true 2>/dev/null; then as_root="sudo -n"; else as_root=no; fi

debian() { # COMMAND PACKAGE...
    command -v "$1" >/dev/null && return
    shift
    if [ "$as_root" != no ] && command -v apt-get >/dev/null; then
        $as_root apt-get update -qq >/dev/null 2>&1
        $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null 2>&1 && return
    fi
    missing="$missing\n  apt-get install $*"
}

debian jose jose
debian node nodejs npm
debian npm npm
if [ "$(cat .tools/node/node_modules/jose/package.json 2>/dev/null | grep -c "\"version\": \"$JOSE_VERSION\"")" = 0 ]; then
    mkdir -p .tools/node
    (cd .tools/node && npm install --silent --no-save --no-package-lock --no-audit --no-fund "jose@$JOSE_VERSION" >/dev/null 2>&1) ||
        missing="$missing\n  npm install --prefix .tools/node jose@$JOSE_VERSION"
fi
[ -z "$missing" ] || printf 'These are missing; tests that need them will be skipped:%b\n' "$missing"
