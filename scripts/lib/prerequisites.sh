# shellcheck shell=bash
# Finds the programs that the tests need and installs what is missing with apt, as root or with a
# sudo that asks nothing; otherwise it names, in one line, what to install, and ends the run.

# Prints the folder of PostgreSQL's newest server programs; Debian keeps them off the path.
find_postgresql() {
    local folder
    folder=$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -Vr | head -n 1)
    if [ -x "$folder/initdb" ]; then
        printf '%s\n' "$folder"
    elif command -v initdb >/dev/null; then
        dirname "$(command -v initdb)"
    fi
}

# Prints the folder of RabbitMQ's own scripts: the wrappers on the path insist on the packaged server.
find_rabbitmq() {
    local folder
    for folder in /usr/lib/rabbitmq/bin /usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin /opt/rabbitmq/sbin; do
        if [ -x "$folder/rabbitmq-server" ]; then
            printf '%s\n' "$folder"
            return
        fi
    done
}

# The servers are needed even where others are given from outside: some tests start one of their own.
missing_packages() {
    [ -n "$(find_postgresql)" ] || echo postgresql
    { command -v mariadbd && command -v mariadb-install-db; } >/dev/null || echo mariadb-server
    { [ -n "$(find_rabbitmq)" ] && command -v epmd >/dev/null; } || echo rabbitmq-server
    python3 -c 'import ensurepip, venv' 2>/dev/null || echo python3-venv
    command -v cc >/dev/null || echo gcc libc6-dev
}

install_prerequisites() {
    local missing as_root=()
    command -v cargo >/dev/null || fail "cargo is missing: install Rust from https://rustup.rs"
    missing=$(missing_packages | tr '\n' ' ')
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" -ne 0 ]; then
        sudo -n true 2>/dev/null || fail "please install first: sudo apt-get install $missing"
        as_root=(sudo -n)
    fi
    command -v apt-get >/dev/null || fail "please install the programs of these Debian packages first: $missing"
    say "installing $missing"
    as_root+=(env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0)
    # shellcheck disable=SC2086 # a list of package names
    { "${as_root[@]}" update && "${as_root[@]}" install -y --no-install-recommends $missing; } >&2 </dev/null ||
        fail "please install first: apt-get install $missing"
    missing=$(missing_packages | tr '\n' ' ')
    [ -z "$missing" ] || fail "still missing after the installation: $missing"
}
