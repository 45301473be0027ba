#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# usage: image-context.sh SERVER FOLDER
# Prepares a folder for `docker build FOLDER`: the Dockerfile, the server and this machine's trusted certificates. The
# files get one fixed time and mode, so the same server makes the same image.
set -eu
[ $# -eq 2 ] || { echo "usage: image-context.sh SERVER FOLDER" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
bundle=${CA_BUNDLE:-/etc/ssl/certs/ca-certificates.crt}
[ -r "$bundle" ] || { echo "image-context.sh: $bundle: not there: install ca-certificates or set CA_BUNDLE" >&2; exit 1; }
mkdir -p "$2"
install -m 0644 "$here/Dockerfile" "$2/Dockerfile"
install -m 0644 "$bundle" "$2/ca-certificates.crt"
install -m 0755 "$1" "$2/server"
touch -d @0 "$2/Dockerfile" "$2/ca-certificates.crt" "$2/server"
