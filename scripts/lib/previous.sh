# shellcheck shell=bash disable=SC2154 # $target is the build folder of scripts/test
# Builds the worker of the version before, which tests/previous-version names, once for each commit.
# It is built in the same build folder from a copy of its source: what it depends on is mostly there.
# Its binary has the commit in its name, since it must never be taken for the one under test.

previous_name=$(grep -v '^#' tests/previous-version)
previous_commit=$(git rev-parse --verify --quiet "$previous_name^{commit}" 2>/dev/null) || previous_commit=''
previous="$target/release/karbor-restore-worker-${previous_commit:0:12}"

make_previous() {
    [ ! -x "$previous" ] || return 0
    local source="$target/previous/$previous_commit"
    mkdir -p "$target/previous"
    exec 8>"$source.lock"
    flock 8
    [ ! -x "$previous" ] || return 0
    say "building the version before, $previous_name"
    # Without optimisation of its own code, which would take longer than all else here.
    rm -rf "$source" && mkdir "$source" && git archive "$previous_commit" | tar -x -C "$source" &&
        sed -i "/^\[\[bin\]\]/,/^name/ s/^name = .*/name = \"${previous##*/}\"/" "$source/Cargo.toml" &&
        cargo build --release --locked --manifest-path "$source/Cargo.toml" --target-dir "$target" \
            --bin "${previous##*/}" --config 'profile.release.package.karbor-restore-worker.opt-level=0'
}
