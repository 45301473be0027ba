#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Prepares the kernel part of an enclave image's blobs from Debian's cloud kernel, in the layout of AWS's package:
#   bzImage, bzImage.config, cmdline, and init when its path is given (the build makes it: build/blobs/init).
# Needs apt's package lists and dpkg-deb, not root. The same package gives the same bytes.
#
# usage: blobs/prepare.sh OUTDIR [--init PATH] [--package NAME[=VERSION]] [--deb FILE]
set -euo pipefail

fail() {
  echo "prepare.sh: $*" >&2
  exit 1
}

out=
init=
package=linux-image-cloud-amd64
deb=
while [ $# -gt 0 ]; do
  case $1 in
    --init) init=${2:?--init needs a path}; shift 2 ;;
    --package) package=${2:?--package needs a name}; shift 2 ;;
    --deb) deb=${2:?--deb needs a file}; shift 2 ;;
    -*) fail "unknown option $1" ;;
    *) [ -z "$out" ] || fail "one folder only"; out=$1; shift ;;
  esac
done
[ -n "$out" ] || fail "usage: prepare.sh OUTDIR [--init PATH] [--package NAME[=VERSION]] [--deb FILE]"

# As AWS's for x86_64: no PCI, no modules beyond the NSM's, a serial console, reboot on panic.
cmdline='reboot=k panic=30 pci=off nomodules console=ttyS0 i8042.noaux i8042.nomux i8042.nopnp i8042.dumbkbd random.trust_cpu=on'

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if [ -z "$deb" ]; then
  # The metapackage names the kernel's own package with its exact version.
  wanted=$(apt-cache show --no-all-versions "$package" | sed -n 's/^Depends:.*\(linux-image-[0-9][^ ,]*\) (= \([^)]*\)).*/\1=\2/p' | head -n 1)
  [ -n "$wanted" ] || wanted=$package
  (cd "$work" && apt-get -qq -o APT::Sandbox::User="$(id -un)" download "$wanted") ||
    fail "cannot download $wanted: run apt-get update, or give --deb FILE"
  deb=$(find "$work" -maxdepth 1 -name '*.deb' | head -n 1)
fi
dpkg-deb --extract "$deb" "$work/root" || fail "$deb: not a Debian package"
kernel=$(find "$work/root/boot" -name 'vmlinuz-*' | head -n 1)
config=$(find "$work/root/boot" -name 'config-*' | head -n 1)
[ -n "$kernel" ] && [ -n "$config" ] || fail "$deb: holds no kernel"
sed -n 3p "$config" | grep -q '^# Linux/x86 [0-9.]* Kernel Configuration$' ||
  fail "$config: line 3 does not name the kernel"

mkdir -p "$out"
put() { # whole or absent
  install -m "$3" "$1" "$2.new"
  mv "$2.new" "$2"
}
put "$kernel" "$out/bzImage" 644
put "$config" "$out/bzImage.config" 644
# For tests that let this kernel judge AF_VSOCK; no image holds them.
mkdir -p "$out/modules"
for module in vsock vmw_vsock_virtio_transport_common vsock_loopback; do
  file=$(find "$work/root" -name "$module.ko*" | head -n 1)
  case $file in
    '') continue ;;
    *.xz) xz -dc "$file" > "$work/module" ;;
    *) cp "$file" "$work/module" ;;
  esac
  put "$work/module" "$out/modules/$module.ko" 644
done
printf '%s\n' "$cmdline" > "$work/cmdline"
put "$work/cmdline" "$out/cmdline" 644
if [ -n "$init" ]; then put "$init" "$out/init" 755; fi
(cd "$out" && sha256sum bzImage bzImage.config cmdline ${init:+init})
