#!/usr/bin/env bash
# Debian's packages of other releases → servers to run beside the installed ones. Needs apt, no root; installs nothing.
# Usage: test/support/more-servers.sh [FOLDER]. Leaves FOLDER/redis@8.0, FOLDER/valkey@9.1 and so on: what to execute.
# A release that is there is not fetched again. What cannot be fetched is said, and the rest goes on.
set -euo pipefail

folder=${1:-${CUTOVER_SERVERS:-${XDG_CACHE_HOME:-$HOME/.cache}/cutover/servers}}
mirror=${CUTOVER_DEBIAN_MIRROR:-http://deb.debian.org/debian}
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

# apt with a state of its own, in which nothing is installed: it neither sees nor changes this machine's packages.
fetch() {
  local work=$1
  shift
  mkdir -p "$work/state/lists/partial" "$work/cache/archives/partial" "$work/none"
  : >"$work/status"
  local options=(
    -o "Dir::Etc::sourcelist=$work/sources.list" -o "Dir::Etc::sourceparts=$work/none"
    -o "Dir::Etc::preferencesparts=$work/none"
    -o "Dir::State=$work/state" -o "Dir::State::status=$work/status" -o "Dir::Cache=$work/cache"
    -o "APT::Sandbox::User=$(id -un)" -o Debug::NoLocking=1 -o Acquire::Languages=none -o Acquire::Retries=3
  )
  apt-get -qq "${options[@]}" update
  apt-get -qq "${options[@]}" --yes --no-install-recommends --download-only "$@"
}

# unpack NAME "SUITES" APT-ARGUMENTS…: one tree per set of packages; its own loader and libraries run its servers.
unpack() {
  local name=$1 suites=$2
  shift 2
  local tree=$folder/$name
  [ -e "$tree/complete" ] && return
  local work
  work=$(mktemp -d)
  for suite in $suites; do
    echo "deb [signed-by=$keyring] $mirror $suite main" >>"$work/sources.list"
  done
  if ! fetch "$work" "$@" >&2; then
    echo "more-servers: packages of $name could not be had" >&2
    rm -r "$work"
    return
  fi
  mkdir -p "$tree"
  for package in "$work"/cache/archives/*.deb; do dpkg -x "$package" "$tree"; done
  rm -r "$work"
  local loader libraries
  loader=$(find "$tree" -name 'ld-linux*.so.*' | head -n 1)
  libraries=$(find "$tree" -name '*.so.*' -printf '%h\n' | sort -u | paste -sd:)
  for product in redis valkey; do
    # The server and the checker of its files are one program, which goes by the name it is called.
    local binary=$tree/usr/bin/$product-server
    [ -x "$tree/usr/bin/$product-check-rdb" ] || continue
    ln -sf "$product-check-rdb" "$binary"
    local run=("$loader" --library-path "$libraries" "$binary")
    local version
    version=$("${run[@]}" --version | sed -E 's/.* v=([0-9]+\.[0-9]+).*/\1/')
    printf '#!/bin/sh\nexec %s "$@"\n' "$(printf '%q ' "${run[@]}")" >"$folder/$product@$version"
    chmod +x "$folder/$product@$version"
  done
  touch "$tree/complete"
}

mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
unpack bullseye 'bullseye' install redis-tools
unpack trixie 'trixie' install redis-tools valkey-tools
unpack forky 'forky' install valkey-tools
unpack experimental 'forky experimental' install --target-release experimental redis-tools
ls -d "$folder"/*@*
