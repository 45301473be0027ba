#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# usage: install_test.sh BUILD_FOLDER CONSUMER_FOLDER
# Installs the SDK into a fresh prefix and builds a user's program with the CMake package, and with pkg-config, shared and
# fully static. The compiler sees the prefix and OpenSSL, not this tree.
set -eu
prefix=$(mktemp -d)
trap 'rm -rf "$prefix"' EXIT
cmake --install "$1" --component sdk --prefix "$prefix/usr" > /dev/null
cmake -G Ninja -S "$2" -B "$prefix/build" -DCMAKE_PREFIX_PATH="$prefix/usr" > "$prefix/log" 2>&1 && cmake --build "$prefix/build" >> "$prefix/log" 2>&1 ||
  { cat "$prefix/log"; exit 1; }
"$prefix/build/consumer"
flags="env PKG_CONFIG_PATH=$prefix/usr/lib/pkgconfig pkg-config --define-variable=prefix=$prefix/usr"
# shellcheck disable=SC2046
${CXX:-c++} -std=c++20 -Wall -Wextra -Werror $($flags --cflags casemate) "$2/consumer.cc" -o "$prefix/shared" $($flags --libs casemate) -pthread
"$prefix/shared"
# shellcheck disable=SC2046
${CXX:-c++} -std=c++20 -static $($flags --cflags casemate) "$2/consumer.cc" -o "$prefix/static" $($flags --static --libs casemate) 2> "$prefix/log" ||
  { cat "$prefix/log"; exit 1; }
"$prefix/static"
