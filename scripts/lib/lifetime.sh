# shellcheck shell=bash disable=SC2034 # $run is read by the other files here
# One run's temporary folder, servers and job, and their end: on exit, also by Ctrl-C, all of it is
# removed. The caller has `set -m`: each background job gets a process group of its own, so it can
# be ended with all its children, and a Ctrl-C reaches the script alone, which ends the rest in order.

run='' job=''

# shellcheck disable=SC2317 # called by the trap
remove_all() {
    status=$?
    trap '' INT TERM HUP
    trap - EXIT
    [ -z "$job" ] || end_group "$job" TERM 15
    [ -z "$run" ] || {
        stop_servers
        rm -rf "$run"
    }
    exit "$status"
}
trap remove_all EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# Runs one command in a process group of its own and waits for it, so that signals are handled at once.
run_job() {
    "$@" </dev/null &
    job=$!
    local status=0
    wait "$job" || status=$?
    job=''
    return "$status"
}

# Makes $run for a run called $1, in the folder $2.
make_run() {
    run=$(mktemp -d "$2/karbor-restore-$1.XXXXXX")
    # The user that PostgreSQL runs as must get through to its own folder.
    chmod 711 "$run"
}
