#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs what casemate is built and tested with, by name, on Debian 12 and 13. Sourced by demo.sh and test.sh:
# `casemate_setup build` for the programs, `casemate_setup test` for the tests' clients and engines too. Does nothing,
# quickly, when everything is there.

casemate_step() { printf '\033[1m==>\033[0m %s\n' "$*"; }

# casemate_quiet LOG COMMAND...: runs a command with its output in LOG, which is shown when it fails.
casemate_quiet() {
  local log=$1
  shift
  if ! "$@" >"$log" 2>&1; then
    tail -n 60 "$log" >&2
    printf 'failed: %s (whole output: %s)\n' "$*" "$log" >&2
    return 1
  fi
}

casemate_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

casemate_packages() {
  # Boost is named by version: Debian 12's default is older than what the tree needs. Docker's client is a package of its
  # own from Debian 13 on.
  local boost=1.83 docker_client=docker-cli
  # shellcheck disable=SC1091
  case "$(. /etc/os-release && printf '%s' "${VERSION_ID:-}")" in
    12) boost=1.81 docker_client=docker.io ;;
  esac
  printf '%s\n' g++ cmake ninja-build ccache git pkg-config ca-certificates \
    "libboost$boost-dev" "libboost-json$boost-dev" libssl-dev libfmt-dev libcli11-dev \
    libyaml-cpp-dev libsqlite3-dev libjemalloc-dev libp11-kit-dev libarchive-dev zlib1g-dev libzstd-dev libseccomp-dev nettle-dev libgmp-dev \
    libgtest-dev libgmock-dev librapidcheck-dev \
    openssl jq procps buildah netavark awscli uidmap xz-utils
  if [ "$1" = test ]; then
    printf '%s\n' python3 python3-boto3 python3-cbor2 docker.io "$docker_client" cpio socat curl softhsm2 golang-go libcbor-dev skopeo qemu-system-x86 zstd chromium
    # A Node.js that is there already is used as it is; Debian's own may clash with it.
    command -v npm >/dev/null 2>&1 || printf '%s\n' nodejs npm
  fi
}

casemate_setup() {
  local kind=$1 missing=() package
  for package in $(casemate_packages "$kind"); do
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
  done
  mkdir -p build
  if [ "${#missing[@]}" -gt 0 ]; then
    if [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null 2>&1; then
      printf 'setup: these packages are missing and neither root nor sudo is at hand: %s\n' "${missing[*]}" >&2
      return 1
    fi
    casemate_step "Installing ${#missing[@]} packages"
    casemate_quiet build/apt-update.log casemate_root apt-get update
    casemate_quiet build/apt-install.log casemate_root env DEBIAN_FRONTEND=noninteractive \
      apt-get install -y --no-install-recommends "${missing[@]}"
  fi
  if [ "$kind" = test ]; then casemate_node; fi
}

# The AWS SDK for JavaScript, one of the clients that the tests run, from the lock file.
casemate_node() {
  local from=tests/interop/node
  [ -f "$from/package-lock.json" ] || return 0
  if ! cmp -s "$from/package-lock.json" build/node/package-lock.json || [ ! -d build/node/node_modules ]; then
    casemate_step "Installing the AWS SDK for JavaScript"
    rm -rf build/node
    mkdir -p build/node
    cp "$from/package.json" "$from/package-lock.json" build/node/
    casemate_quiet build/npm.log npm --cache build/npm-cache --prefix build/node ci --ignore-scripts --no-audit --no-fund
  fi
}

# What the web console is built and tested with, from its lock file, and the page itself in build/web. The tree holds only
# a link to the modules.
casemate_web() {
  local work=build/web-work
  if ! cmp -s web/package-lock.json $work/package-lock.json || [ ! -f $work/installed ]; then
    casemate_step "Installing what the web console is built with"
    rm -rf $work
    mkdir -p $work
    cp web/package.json web/package-lock.json web/.npmrc $work/
    casemate_quiet build/npm-web.log npm --cache build/npm-cache --prefix $work ci --ignore-scripts --no-audit --no-fund
    touch $work/installed
  fi
  ln -sfn ../build/web-work/node_modules web/node_modules
  if [ ! -f build/web/manifest.json ] ||
    [ -n "$(find web -path web/node_modules -prune -o -type f -newer build/web/manifest.json -print -quit)" ]; then
    casemate_step "Building the web console"
    casemate_quiet build/build-web.log env CASEMATE_WEB_OUT="$PWD/build/web" npm --cache build/npm-cache --prefix web run build
  fi
}

# casemate_build PRESET TARGET...: configures once and builds.
casemate_build() {
  local preset=$1
  shift
  casemate_step "Building ($preset)"
  casemate_quiet "build/configure-$preset.log" cmake --preset "$preset"
  casemate_quiet "build/build-$preset.log" cmake --build --preset "$preset" --target "$@"
}

# The kernel and init that nitro-cli puts into images when no other blobs are named.
casemate_blobs() {
  # The command line is the last file that prepare.sh puts there.
  if [ ! -s build/blobs/cmdline ]; then
    casemate_step "Preparing the enclave kernel"
    casemate_quiet build/blobs.log blobs/prepare.sh build/blobs
  fi
}
