# shellcheck shell=bash
# Sourced by all, build and demo: the toolchain, the target, Debian packages, what is stopped at the end.

readonly RUST_MIN=1.90
# shellcheck disable=SC2034 # for those who source this
readonly IMAGES=../shared/images

say() { printf '%s\n' "$*"; }

die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

# --- what was started is stopped, also after a failure or Ctrl-C ------------------------------------------------------

started=()
scratch=()
policy=

# start LOG COMMAND…: in the background, in a process group of its own; its pid is in $!
start() {
    local log=$1
    shift
    set -m
    "$@" >"$log" 2>&1 </dev/null &
    set +m
    started+=($!)
}

# scratch_dir NAME: a new directory that goes away at the end; its path is in $REPLY
scratch_dir() {
    REPLY=$(mktemp -d "/var/tmp/ucr-$1.XXXXXX")
    scratch+=("$REPLY")
}

# Whatever fails here must not stop the rest.
clean_up() {
    local pid directory mount
    [[ -z $policy ]] || rm -f "$policy"
    for pid in "${started[@]}"; do
        # Ended ones are gone from the job table; a pid that is not our child is left alone.
        if jobs -p | grep -qx "$pid"; then
            kill -- "-$pid" 2>/dev/null || true
            wait "$pid" 2>/dev/null || true
        fi
    done
    for directory in "${scratch[@]}"; do
        while read -r mount; do
            umount --lazy "$mount" || true
        done < <(awk -v top="$directory/" 'index($5, top) == 1 {print $5}' /proc/self/mountinfo | sort -r)
        # What is still mounted is not ours to delete.
        rm -rf --one-file-system "$directory" || true
    done
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# --- the machine ------------------------------------------------------------------------------------------------------

need_root() {
    [[ $EUID -eq 0 ]] || die 'must be run as root: it installs packages, mounts, and starts containers'
}

# need_packages PACKAGE…: installs what is missing of these Debian packages
apt_updated=
need_packages() {
    local package missing=()
    command -v dpkg-query >/dev/null || die "not a Debian system; these packages are needed: $*"
    for package in "$@"; do
        [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || missing+=("$package")
    done
    [[ ${#missing[@]} -gt 0 ]] || return 0
    [[ $EUID -eq 0 ]] || die "missing packages, and not root: apt-get install ${missing[*]}"
    say "installing: ${missing[*]}"
    [[ -n $apt_updated ]] || apt-get -qq update
    apt_updated=yes
    # Debian starts the services that it installs; the tests start their own registry.
    if [[ ! -e /usr/sbin/policy-rc.d ]]; then
        policy=/usr/sbin/policy-rc.d
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
    fi
    local status=0
    DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends "${missing[@]}" >/dev/null || status=$?
    [[ -z $policy ]] || rm "$policy"
    policy=
    [[ $status -eq 0 ]] || die "apt-get install ${missing[*]} failed"
}

# --- the toolchain ----------------------------------------------------------------------------------------------------

readonly RUST_HELP="install Rust $RUST_MIN or newer: https://rustup.rs, or on Debian 12: \
apt-get install rustc-web cargo-web rust-web-clippy rustfmt-web"

need_rust() {
    local version
    # rustup puts cargo where only a login shell finds it.
    [[ ! -d ~/.cargo/bin ]] || PATH=$PATH:$HOME/.cargo/bin
    command -v cargo >/dev/null || die "there is no cargo; $RUST_HELP"
    command -v rustc >/dev/null || die "there is no rustc; $RUST_HELP"
    version=$(rustc --version | cut -d ' ' -f 2)
    printf '%s\n' "$RUST_MIN" "$version" | sort -C -V || die "rustc $version is too old; $RUST_HELP"
}

# rust_target: the target of the static binary, in $REPLY. musl where it can be had, else glibc.
rust_target() {
    REPLY=$(uname -m)-unknown-linux-musl
    # The path is printed for targets that are not installed, too.
    [[ ! -d $(rustc --print target-libdir --target "$REPLY") ]] || return 0
    if command -v rustup >/dev/null && rustup --quiet target add "$REPLY" >/dev/null 2>&1; then return 0; fi
    REPLY=$(uname -m)-unknown-linux-gnu
}

# build_static: builds the release binary; its path is in $REPLY
build_static() {
    local flags=() target
    rust_target
    target=$REPLY
    if [[ $target == *-musl ]]; then
        # ring and zstd have parts in C.
        need_packages musl-tools
    else
        flags=(--config "target.$target.rustflags=['-C', 'target-feature=+crt-static']")
    fi
    need_packages gcc libc6-dev
    cargo build --release --locked --quiet --target "$target" "${flags[@]}" || return
    REPLY=${CARGO_TARGET_DIR:-$PWD/target}/$target/release/ucr
}
