# shellcheck shell=bash disable=SC2154 # $run is the temporary folder of scripts/test
# Starts private servers in $run, all at once, and ends them by the process groups it started.
# Exports the TEST_* variables that the tests read. The servers are as durable as in production: a
# worker warns about others, and a commit's true cost is part of what is tested.

servers=()      # names of the servers that were started
declare -A pids # name -> process, which leads a process group

# Prints the first of eight free neighbouring ports. They lie below the kernel's own choices for
# outgoing connections, and start at a place that two runs at the same time do not share.
find_ports() {
    python3 - "$$" <<'PYTHON'
import socket, sys

def free(port):
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True

start = int(sys.argv[1])
for block in range(start, start + 2700):
    base = 10000 + block % 2700 * 8
    if all(free(port) for port in range(base, base + 8)):
        print(base)
        break
else:
    sys.exit("no eight free ports in a row")
PYTHON
}

# Starts `start_NAME PORT` as a background job that logs to $run/NAME.log.
start_server() {
    mkdir -p "$run/$1"
    "start_$1" "$2" >"$run/$1.log" 2>&1 </dev/null &
    pids[$1]=$!
    # Or the shell reports each server's end as it ends them.
    disown
    servers+=("$1")
}

start_servers() {
    local port
    port=$(find_ports)
    if [ -z "${TEST_POSTGRESQL_URL:-}" ]; then
        start_server postgresql "$port"
        export TEST_POSTGRESQL_URL="postgres://postgres@127.0.0.1:$port/postgres"
    fi
    if [ -z "${TEST_MYSQL_URL:-}" ]; then
        start_server mariadb $((port + 1))
        export TEST_MYSQL_URL="mysql://root@127.0.0.1:$((port + 1))/"
    fi
    if [ -z "${TEST_RABBITMQ_URL:-}" ]; then
        write_rabbitmq_environment $((port + 2))
        start_server epmd $((port + 3))
        start_server rabbitmq $((port + 2))
        export TEST_RABBITMQ_URL="rabbit://guest:guest@127.0.0.1:$((port + 2))/"
        export TEST_RABBITMQ_CTL="$run/rabbitmqctl"
    fi
}

# PostgreSQL refuses to run as root.
as_database_user() {
    if [ "$(id -u)" -ne 0 ]; then
        exec "$@"
    fi
    local user=nobody
    ! id -u postgres >/dev/null 2>&1 || user=postgres
    chown -R "$user" "$run/postgresql"
    exec setpriv --reuid="$user" --regid="$(id -g "$user")" --clear-groups "$@"
}

# Further arguments of these two go to the server. Data that is there is kept.
start_postgresql() {
    local bin data="$run/postgresql/data"
    bin=$(find_postgresql)
    cd "$run" || exit
    [ -e "$data" ] ||
        (as_database_user "$bin/initdb" -D "$data" -U postgres -A trust -E UTF8 --locale=C --no-sync)
    as_database_user "$bin/postgres" -D "$data" -p "$1" -c listen_addresses=127.0.0.1 \
        -c unix_socket_directories= -c max_connections=500 -c log_min_messages=fatal "${@:2}"
}

start_mariadb() {
    local data="$run/mariadb/data" user
    user=$(id -un)
    cd "$run" || exit
    [ -e "$data" ] ||
        mariadb-install-db --no-defaults --user="$user" --datadir="$data" \
            --auth-root-authentication-method=normal --skip-test-db --skip-name-resolve
    exec mariadbd --no-defaults --user="$user" --datadir="$data" --socket="$run/mariadb/socket" \
        --pid-file="$run/mariadb/pid" --port="$1" --bind-address=127.0.0.1 --skip-name-resolve \
        --max-connections=500 --innodb-buffer-pool-size=128M "${@:2}"
}

# Erlang's name server, a private one: the machine's own would outlive this run and know its node.
start_epmd() {
    exec epmd -address 127.0.0.1 -port "$1"
}

# A node of its own: name, name server, cookie, data, logs and no plugins; all on loopback. The same
# environment serves the control command that tests use. write_rabbitmq_environment PORT [EPMD_PORT
# [LINE...]]: the lines are added to rabbitmq.conf. A cookie that is there is kept: it joins a cluster.
write_rabbitmq_environment() {
    local home="$run/rabbitmq" epmd_port=${2:-$(($1 + 1))}
    mkdir -p "$home/log" "$home/mnesia"
    : >"$home/rabbitmq-env.conf"
    echo '[].' | tee "$home/enabled_plugins" >"$home/advanced.config"
    cat >"$home/rabbitmq.conf" <<CONF
listeners.tcp.1 = 127.0.0.1:$1
disk_free_limit.absolute = 50MB
log.console = true
log.console.level = info
log.file = false
CONF
    printf '%s\n' "${@:3}" >>"$home/rabbitmq.conf"
    [ -e "$home/.erlang.cookie" ] ||
        (umask 077 && od -An -N16 -tx1 /dev/urandom | tr -d ' \n' >"$home/.erlang.cookie")
    cat >"$home/environment" <<ENVIRONMENT
unset RABBITMQ_USE_LONGNAME RABBITMQ_NODE_PORT RABBITMQ_NODE_IP_ADDRESS RABBITMQ_PID_FILE
export HOME='$home' LC_ALL=C.UTF-8 ERL_EPMD_ADDRESS=127.0.0.1 ERL_EPMD_PORT=$epmd_port
export RABBITMQ_CONF_ENV_FILE='$home/rabbitmq-env.conf' RABBITMQ_CONFIG_FILE='$home/rabbitmq'
export RABBITMQ_ADVANCED_CONFIG_FILE='$home/advanced.config' RABBITMQ_ENABLED_PLUGINS_FILE='$home/enabled_plugins'
export RABBITMQ_MNESIA_BASE='$home/mnesia' RABBITMQ_LOG_BASE='$home/log' RABBITMQ_LOGS=-
export RABBITMQ_GENERATED_CONFIG_DIR='$home/config' RABBITMQ_NODENAME=test-$1@localhost
export RABBITMQ_DIST_PORT=$(($1 + 2))
export RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS='-kernel inet_dist_use_interface {127,0,0,1}'
ENVIRONMENT
    cat >"$run/rabbitmqctl" <<CONTROL
#!/usr/bin/env bash
. '$home/environment'
exec '$(find_rabbitmq)/rabbitmqctl' "\$@"
CONTROL
    chmod 755 "$run/rabbitmqctl"
}

start_rabbitmq() {
    # shellcheck source=/dev/null # written above
    . "$run/rabbitmq/environment"
    cd "$run/rabbitmq" || exit
    exec "$(find_rabbitmq)/rabbitmq-server"
}

# What must hold before tests may use a server.
is_ready() {
    case $1 in
    postgresql) "$(find_postgresql)/pg_isready" -q -d "$TEST_POSTGRESQL_URL" ;;
    mariadb) mariadb-admin --no-defaults --socket="$run/mariadb/socket" -u root ping ;;
    epmd) true ;;
    # The listener is opened last, but the control command must work too.
    rabbitmq) "$run/rabbitmqctl" await_startup --timeout 60 ;;
    esac >/dev/null 2>&1
}

await_servers() {
    local name deadline
    for name in "${servers[@]}"; do
        deadline=$((SECONDS + 120))
        until is_ready "$name"; do
            if ! kill -0 "${pids[$name]}" 2>/dev/null || [ $SECONDS -gt $deadline ]; then
                say "$name did not start; its log:"
                tail -n 60 "$run/$name.log" >&2
                exit 1
            fi
            sleep 0.1
        done
    done
}

# After failed tests: a server that died is the likely reason.
say_dead_servers() {
    local name
    for name in "${servers[@]}"; do
        kill -0 "${pids[$name]}" 2>/dev/null || {
            say "$name died during the tests; its log ends:"
            tail -n 60 "$run/$name.log" >&2
        }
    done
}

# Sends SIGNAL to the process group of a child, gives it SECONDS, then kills the group.
end_group() {
    local leader=$1 signal=$2 deadline=$((SECONDS + $3))
    kill -"$signal" -- "-$leader" 2>/dev/null || true
    while kill -0 -- "-$leader" 2>/dev/null && [ $SECONDS -lt $deadline ]; do
        sleep 0.05
    done
    kill -KILL -- "-$leader" 2>/dev/null || true
    wait "$leader" 2>/dev/null || true
}

stop_servers() {
    local name
    for name in "${servers[@]}"; do
        case $name in
        # QUIT ends PostgreSQL at once with all its processes, which lead sessions of their own.
        postgresql) end_group "${pids[$name]}" QUIT 5 ;;
        *) end_group "${pids[$name]}" KILL 1 ;;
        esac
    done
}
