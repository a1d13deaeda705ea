# Sourced by bin/demo and bin/test: brings a fresh machine to the point where the project is built.
# Usage: setup PROGRAM:PACKAGE...   (a PROGRAM that is missing is installed by its Debian PACKAGE)

cd "$(dirname "$0")/.." || exit 1

say() { printf '\033[2m» %s\033[0m\n' "$*" >&2; }

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"
    elif sudo -n true 2>/dev/null || { [ -t 0 ] && command -v sudo >/dev/null; }; then sudo "$@"
    else return 99
    fi
}

install_programs() {
    missing=
    for pair in "$@"; do
        # Debian keeps network tools in sbin, which an ordinary user has not on the path.
        PATH="$PATH:/usr/sbin:/sbin" command -v "${pair%%:*}" >/dev/null || missing="$missing ${pair#*:}"
    done
    missing=$(printf '%s\n' $missing | sort -u | tr '\n' ' ')
    [ -n "${missing% }" ] || return 0
    if ! command -v apt-get >/dev/null; then
        echo "Missing:$missing. Install these with your package manager, then run this again." >&2
        exit 3
    fi
    say "installing $missing"
    # shellcheck disable=SC2086
    as_root sh -c "apt-get install -y --no-install-recommends $missing >/dev/null 2>&1 ||
        { apt-get update >/dev/null && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing >/dev/null; }" && return 0
    echo "These programs are missing. Run this line, then $0 again:" >&2
    echo "  sudo apt-get update && sudo apt-get install -y --no-install-recommends $missing" >&2
    exit 3
}

check_node() {
    command -v node >/dev/null || { echo "Node.js 20.19 or newer is needed (https://nodejs.org)." >&2; exit 3; }
    node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)' ||
        { echo "Node.js 20.19 or newer is needed; this is $(node --version)." >&2; exit 3; }
}

install_packages() {
    [ node_modules/.package-lock.json -nt package-lock.json ] && return 0
    say "npm ci"
    npm ci --no-audit --no-fund --no-update-notifier --loglevel=error >&2 || { echo "npm ci failed, see above." >&2; exit 3; }
    touch node_modules/.package-lock.json
}

build() {
    # oclif.manifest.json is written last: newer than every source, the build is fresh.
    if [ -f oclif.manifest.json ] &&
        [ -z "$(find src commands test bench helper package.json tsconfig.json bin/*.mjs -newer oclif.manifest.json \
            -not -path '*/build/*' \( -type f \) -print -quit)" ]; then
        return 0
    fi
    say "building"
    npm run --silent build || { echo "The build failed, see above." >&2; exit 3; }
}

setup() {
    check_node
    install_programs "$@"
    install_packages
    build
}
