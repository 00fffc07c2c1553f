#!/usr/bin/env bash
# The coroutine switch keeps registers and aligns stacks, here and on aarch64 under qemu; and every
# file of the library compiles for aarch64.
set -euo pipefail
cd "$GYRE_SOURCE"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
flags=(-std=gnu17 -Wall -Wextra -Werror -I. -Iinclude)

probe() { # label, program that runs it or '', compiler command...
    local label=$1 run=$2 optimisation
    for optimisation in -O0 -O1 -O2 -O3; do
        "${@:3}" "${flags[@]}" "$optimisation" tests/checks/switch_probe.c io/base/assert.c \
            -o "$work/probe"
        # shellcheck disable=SC2086 # empty is no word
        $run "$work/probe" || { echo "the switch of $label is broken at $optimisation"; exit 1; }
    done
}

machine=$(uname -m)
if [ -e "io/co/switch_$machine.S" ]; then
    probe "$machine" '' "$CC" "io/co/switch_$machine.S" io/co/switch.c
fi
probe ucontext '' "$CC" -DGY_SWITCH_UCONTEXT io/co/switch_ucontext.c

cross=aarch64-linux-gnu-gcc
for tool in "$cross" qemu-aarch64; do
    command -v "$tool" >/dev/null || { echo "aarch64 was not checked: no $tool"; exit 77; }
done
probe aarch64 qemu-aarch64 "$cross" -static io/co/switch_aarch64.S io/co/switch.c

# Headers of liburing, zstd and xxHash are the same everywhere; those of the C library are not and
# come from the cross compiler's own folders, which are searched first.
mapfile -t sources < <(ls io/*.c io/base/*.c io/co/*.c io/sim/*.c engine/*/*.c |
    grep -v '/switch_ucontext\.c$')
printf '%s\0' "${sources[@]}" | xargs -0 -n 4 -P "$(nproc)" \
    "$cross" "${flags[@]}" -fsyntax-only -idirafter /usr/include
echo "${#sources[@]} files compile for aarch64"
