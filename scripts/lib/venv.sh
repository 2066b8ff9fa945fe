# shellcheck shell=bash disable=SC2154 # $target is the build folder of scripts/test
# Makes the Python environment with the real clients, once for each state of the requirement files,
# in the build folder; two runs at the same time wait for each other.

requirements=tests/python/requirements.txt
# Karbor names a dozen cloud clients that nothing here imports: installed without what it asks for.
bare_requirements=tests/python/requirements-no-deps.txt
venv="$target/test-venv/$(cat "$requirements" "$bare_requirements" <(python3 --version) | sha256sum | cut -c1-16)"

make_venv() {
    [ ! -e "$venv/complete" ] || return 0
    mkdir -p "$target/test-venv"
    exec 9>"$venv.lock"
    flock 9
    [ ! -e "$venv/complete" ] || return 0
    say "installing the Python clients"
    rm -rf "$venv"
    python3 -m venv "$venv" >&2 &&
        "$venv/bin/pip" --quiet --disable-pip-version-check install -r "$requirements" >&2 &&
        "$venv/bin/pip" --quiet --disable-pip-version-check install --no-deps -r "$bare_requirements" >&2 &&
        touch "$venv/complete"
}
