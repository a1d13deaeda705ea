#!/bin/sh
# Builds helper/build/yapc-init: one static program, no library but libc. CC and CFLAGS may be given.
set -eu
cd "$(dirname "$0")"
mkdir -p build
${CC:-cc} -std=c11 -D_GNU_SOURCE -Wall -Wextra -Werror -Wshadow -pedantic -Os -static -s ${CFLAGS:-} -o build/yapc-init.new ./*.c
mv build/yapc-init.new build/yapc-init
