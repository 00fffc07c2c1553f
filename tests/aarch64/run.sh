#!/usr/bin/env bash
# Cross-compile coroutines for aarch64 and check them under qemu: as they are, with signed return
# addresses and landing pads (the C library has none, so only their presence is checked), and with
# ucontext. Needs neither liburing nor zstd.
#   run.sh [build folder]
# Exit code 77, with a loud line, where the cross compiler or the emulator is missing.
set -euo pipefail

cd "$(dirname "$0")/../.."
cross=${GYRE_AARCH64_CC:-aarch64-linux-gnu-gcc}
emulator=${GYRE_AARCH64_RUN:-qemu-aarch64}
for program in "$cross" "$emulator"; do
    if ! command -v "$program" >/dev/null; then
        echo "SKIPPED: aarch64 is NOT tested here, there is no $program" >&2
        echo "  Debian: apt-get install gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user" >&2
        exit 77
    fi
done

if [ $# -ge 1 ]; then
    build=$1
    mkdir -p "$build"
else
    build=$(mktemp -d)
    trap 'rm -rf "$build"' EXIT
fi

flags=(-std=gnu17 -O2 -g -static -I. -Iinclude -Wall -Wextra -Wshadow -Wconversion
    -Wstrict-prototypes -Wmissing-prototypes -Wvla -Werror -DGYRE_SLOW_ASSERTS)

# try <name> <flags>...
try() {
    local name=$1
    shift
    "$cross" "${flags[@]}" "$@" io/base/*.c io/co/*.c \
        tests/aarch64/switch_main.c -o "$build/switch_$name"
    printf '%-10s ' "$name"
    "$emulator" "$build/switch_$name"
}

try plain io/co/switch_aarch64.S
try O0 io/co/switch_aarch64.S -O0
try pac_bti io/co/switch_aarch64.S -mbranch-protection=standard
try ucontext -DGY_SWITCH_UCONTEXT

"$cross" -mbranch-protection=standard -c io/co/switch_aarch64.S -o "$build/switch_bti.o"
"${cross%gcc}readelf" -n "$build/switch_bti.o" | grep -q 'AArch64 feature: BTI' ||
    { echo "switch_aarch64.S: the landing pads are not declared" >&2; exit 1; }
