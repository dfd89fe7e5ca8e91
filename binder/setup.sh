# Install what is missing: the system packages of binder/apt.txt, and the locked Python packages into .venv. Does nothing,
# and needs no network, when all is there. Sourced from the project's folder by binder/lab and tests/run.
#
#   setup LOCK [LIST...]     LOCK: the lock file to install from. LIST: further lists of system packages.
#                            Leaves the folder of the programs in $bin.

setup() {
    local lock=$1
    shift
    command -v dpkg-query >/dev/null || stop "This set-up knows Debian and Ubuntu. Elsewhere: conda env create -f environment.yml"
    unset PYTHONHOME PYTHONPATH  # pip would take what it finds there for installed
    bin=$PWD/.venv/bin
    system_packages binder/apt.txt "$@"
    python_packages "$lock"
}

stop() {
    printf '%s\n' "$@" >&2
    exit 1
}

system_packages() {
    local package missing=() optional=() all sudo='' line
    for package in $(sed 's/#.*//' "$@") $(python_package); do
        if [[ $(dpkg-query -W -f '${db:Status-Status}' "${package%\?}" 2>/dev/null) != installed* ]]; then
            case $package in
                *\?) optional+=("${package%\?}") ;;
                *) missing+=("$package") ;;
            esac
        fi
    done
    # The lab runs without the optional ones: nobody is asked for a password for them alone
    if [ ${#missing[@]} -eq 0 ]; then
        [ ${#optional[@]} -gt 0 ] && root_at_hand && [ -n "$(available "${optional[@]}")" ] || return 0
    fi

    if [ "$(id -u)" -ne 0 ] && command -v sudo >/dev/null; then
        sudo='sudo '
    fi
    all=("${missing[@]}" $(available "${optional[@]}"))
    # Without its recommendations Mininet's package starts no service: Open vSwitch is one, and the lab does not use it
    line="${sudo}apt-get install -y --no-install-recommends ${all[*]}"
    if ! compgen -G '/var/lib/apt/lists/*_Packages*' >/dev/null; then  # a container's image
        line="${sudo}apt-get update && $line"
    fi
    may_become_root || stop "Some packages are missing. Run this once as root, then start again:" "    $line"
    echo "Installing ${all[*]}"
    $sudo apt-get update -q || echo "apt-get update failed; going on with the lists of packages that are here" >&2
    all=("${missing[@]}" $(available "${optional[@]}"))
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends -o DPkg::Lock::Timeout=120 \
        "${all[@]}" || stop "The packages could not be installed. Run this once as root, then start again:" "    $line" \
        "(On Ubuntu, mininet and conntrack are in the section universe: sudo add-apt-repository universe)"
}

# Those of the packages that the distribution has, as far as the lists that are here tell
available() {
    local package
    for package in "$@"; do
        if apt-cache show "$package" >/dev/null 2>&1; then
            echo "$package"
        fi
    done
}

root_at_hand() {
    [ "$(id -u)" -eq 0 ] || { command -v sudo >/dev/null && sudo -n true 2>/dev/null; }
}

# On a terminal sudo may ask for the password
may_become_root() {
    root_at_hand || { [ -t 0 ] && command -v sudo >/dev/null && sudo -v; }
}

# The package that brings a Python, where one is missing
python_package() {
    if venv_works || [ -n "$(usable_python)" ]; then
        return
    fi
    if grep -qs '^UBUNTU_CODENAME=jammy' /etc/os-release; then
        echo python3.11-venv  # 22.04: its python3 is 3.10
    else
        echo python3-venv
    fi
}

# The first Python that can make virtual environments and has a version that pyproject.toml allows. The real file, not a
# link to it: .venv then notices when the system moves on to another version.
usable_python() {
    local name path
    for name in python3 python3.13 python3.12 python3.11; do
        path=$("$name" -c 'import ensurepip, os, sys
if (3, 11) <= sys.version_info[:2] < (3, 14):
    print(os.path.realpath(sys.executable))' 2>/dev/null) || continue
        if [ -n "$path" ]; then
            echo "$path"
            return
        fi
    done
}

# .venv/place names the folder that .venv was made in, for it holds absolute paths. The file is absent while packages are
# being installed: after an interruption all is made anew.
venv_works() {
    [ "$(cat .venv/place 2>/dev/null)" = "$PWD" ] && "$bin/python" -c '' 2>/dev/null
}

python_packages() {
    local lock=$1 wanted python stamp=.venv/installed-${1//\//-}
    wanted=$(cat pyproject.toml "$lock" | sha256sum)
    if venv_works; then
        [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ] || return 0
    else
        python=$(usable_python)
        [ -n "$python" ] || stop "Python 3.11, 3.12 or 3.13 is needed, and this system's packages have another one." \
            "With conda: conda env create -f environment.yml"
        "$python" -m venv --clear .venv
    fi
    echo "Installing the Python packages of $lock into .venv (the first time takes a minute or two)"
    rm -f .venv/place
    local pip=("$bin/python" -m pip install --quiet --disable-pip-version-check)
    "${pip[@]}" 'pip>=24.1'  # an older one reads "before 3.12" as not meant for Ubuntu 22.04's Python, 3.11.0rc1
    "${pip[@]}" -r "$lock"
    "${pip[@]}" --no-deps --no-build-isolation --editable .  # setuptools is there by now: Mininet needs it
    "$bin/python" -m compileall -q labkit
    echo "$wanted" >"$stamp"
    echo "$PWD" >.venv/place
}
