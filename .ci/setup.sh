#!/bin/sh
# Make a virtual environment with the pinned tools and the package in it, and whatever of the
# system's packages that takes. The Makefile calls it: setup.sh PYTHON VENV
set -eu
cd "$(dirname "$0")/.."
python=$1
venv=$2

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

try_apt_install() {
    as_root env DEBIAN_FRONTEND=noninteractive "RUNLEVEL=${RUNLEVEL:-}" \
        apt-get install --quiet --yes --no-install-recommends "$@" </dev/null
}

# The lists may be old or empty; one that cannot be fetched need not be one of ours.
apt_install() {
    echo "Installing" "$@"
    try_apt_install "$@" >/dev/null 2>&1 || {
        as_root apt-get update --quiet || true
        try_apt_install "$@"
    }
}

# PyPy is nobody's first Python, so it may have to come, too.
if [ "$python" = pypy3 ] && ! command -v pypy3 >/dev/null; then
    apt_install pypy3
fi

if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 9))'; then
    echo "$python is not Python 3.9 or newer; name one with make PYTHON=..." >&2
    exit 1
fi

# The names of Debian's packages that are missing.
lacking() {
    "$python" - <<'END'
import importlib.util
import build_ffi

if importlib.util.find_spec('ensurepip') is None:
    print(f'{build_ffi.PYTHON}-venv')
for need in build_ffi.missing():
    print(need.debian)
END
}

can_install() {
    command -v apt-get >/dev/null && { [ "$(id -u)" -eq 0 ] || command -v sudo >/dev/null; }
}

packages=$(lacking)
if [ -n "$packages" ]; then
    if ! can_install; then
        "$python" -c 'import build_ffi; build_ffi.demand()' || true
        "$python" -c 'import ensurepip' 2>/dev/null ||
            echo "Missing: Python's ensurepip (Debian: apt-get install python3-venv)" >&2
        exit 1
    fi
    apt_install $packages
fi

# Servers and clients for some tests, which are skipped without them. These packages start nothing.
servers() (
    PATH=$PATH:/usr/sbin
    command -v ab >/dev/null || echo apache2-utils
    command -v curl >/dev/null || echo curl
    command -v h2load >/dev/null || echo nghttp2-client
    command -v mariadbd >/dev/null || echo mariadb-server-core
    command -v testssl >/dev/null || echo testssl.sh
    command -v wrk >/dev/null || echo wrk
    command -v redis-server >/dev/null || command -v redis-check-rdb >/dev/null || echo redis-tools
)

# These would start a server on whatever machine it is, so only those of CI get them.
servers_of_ci() (
    PATH=$PATH:/usr/sbin
    command -v haproxy >/dev/null || echo haproxy
    command -v nginx >/dev/null || echo nginx-light
    command -v node >/dev/null || echo nodejs
)

if [ "${GRUVI_TEST_SERVERS:-}" = required ]; then
    packages=$(servers_of_ci)
    # No server is started in the runlevel of a rescue.
    [ -z "$packages" ] || RUNLEVEL=1 apt_install $packages
fi

packages=$(servers)
if [ -n "$packages" ] && can_install; then
    apt_install $packages || echo "Tests that need one of these will be skipped:" $packages
fi

echo "Making $venv with the pinned tools; the first time this takes half a minute"
"$venv/bin/python" -m pip --version >/dev/null 2>&1 || "$python" -m venv --clear "$venv"
pip() {
    "$venv/bin/python" -m pip --disable-pip-version-check --quiet "$@" </dev/null
}
pip install --requirement .ci/requirements.txt
pip install --no-build-isolation --no-deps --editable .
