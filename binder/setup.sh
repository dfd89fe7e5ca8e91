# Install what is missing: system packages from binder/apt.txt, the locked Python packages into .venv. Sourced by
# binder/lab and tests/run from the project's folder; does nothing when all is there. Leaves the programs' folder in $bin.
#
# setup FILE...    the lock files to install from

need_packages() {
    local wanted missing=()
    wanted=$(grep -v '^#' binder/apt.txt)
    python=$(newest_python)
    if [ -z "$python" ]; then  # Ubuntu 22.04: its python3 is 3.10, 3.11 is a package of its own
        wanted="$wanted python3.11 python3.11-venv"
    fi
    for package in $wanted; do
        dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return
    local install="apt-get install -y --no-install-recommends ${missing[*]}"
    if [ "$(id -u)" -eq 0 ]; then
        as_root=env
    elif command -v sudo >/dev/null && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
        as_root=sudo
    else
        echo "Some packages are missing. Run this once, then start again:" >&2
        echo "    sudo $install" >&2
        exit 1
    fi
    echo "Installing ${missing[*]}"
    # Mininet's package would start no service; --no-install-recommends leaves Open vSwitch away, which the lab does not use
    $as_root apt-get update -q
    $as_root env DEBIAN_FRONTEND=noninteractive $install
    python=$(newest_python)
}

newest_python() {
    local name
    for name in python3 python3.13 python3.12 python3.11; do
        if "$name" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null; then
            command -v "$name"
            return
        fi
    done
}

setup() {
    if ! command -v dpkg-query >/dev/null; then
        echo "This set-up knows Debian and Ubuntu. Elsewhere: conda env create -f environment.yml" >&2
        exit 1
    fi
    need_packages
    bin=$PWD/.venv/bin
    local state
    state=$(cat pyproject.toml "$@" | sha256sum | cut -c1-16)-$("$python" -c 'import sys; print(sys.version_info[:3])')
    if [ "$(cat .venv/state-"$(basename "$1")" 2>/dev/null)" = "$state" ]; then
        return
    fi
    echo "Installing the Python packages of $* into .venv"
    "$python" -m venv .venv
    local options=()
    for lock in "$@"; do options+=(-r "$lock"); done
    "$bin/pip" install --quiet --disable-pip-version-check "${options[@]}"
    "$bin/pip" install --quiet --disable-pip-version-check --no-deps --editable .
    "$bin/python" -m compileall -q labkit
    echo "$state" > ".venv/state-$(basename "$1")"
}
