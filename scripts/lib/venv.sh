# shellcheck shell=bash disable=SC2154 # $target is the build folder of scripts/test
# Makes the Python environment with the real clients, once for each state of the requirement files,
# in the build folder; two runs at the same time wait for each other.

requirements=tests/python/requirements.txt
# Karbor names a dozen cloud clients that nothing here imports: installed without what it asks for.
bare_requirements=tests/python/requirements-no-deps.txt

is_python_3_11() {
    "$1" -c 'import sys, ensurepip, venv; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null
}

# Karbor's restore flow runs unmodified on Python 3.11, and not on later ones.
python=python3
is_python_3_11 python3 || ! is_python_3_11 python3.11 || python=python3.11

venv="$target/test-venv/$(cat "$requirements" "$bare_requirements" <("$python" --version) | sha256sum | cut -c1-16)"

make_venv() {
    [ ! -e "$venv/complete" ] || return 0
    mkdir -p "$target/test-venv"
    exec 9>"$venv.lock"
    flock 9
    [ ! -e "$venv/complete" ] || return 0
    say "installing the Python clients"
    rm -rf "$venv"
    "$python" -m venv "$venv" >&2 &&
        "$venv/bin/pip" --quiet --disable-pip-version-check install -r "$requirements" >&2 &&
        "$venv/bin/pip" --quiet --disable-pip-version-check install --no-deps -r "$bare_requirements" >&2 &&
        touch "$venv/complete"
}
