#!/usr/bin/env bash
# Cross-compile for aarch64 and run under qemu:
#   switch_main    coroutines: as they are, unoptimised, with signed return addresses and landing
#                  pads (the C library has none, so only their presence is checked), with ucontext
#   worlds_main    run loop and files on the blocking and the simulated world; also with ucontext
#   engine_main    the whole engine on both
# The last two are built for this machine too, and must do the very same on the simulated one.
# Needs no foreign libraries: stand_ins.c takes the place of liburing and libzstd.
#   run.sh [build folder]
# Exit code 77, with a loud line, where the cross compiler or the emulator is missing.
set -euo pipefail

cd "$(dirname "$0")/../.."
cross=${GYRE_AARCH64_CC:-aarch64-linux-gnu-gcc}
emulator=${GYRE_AARCH64_RUN:-qemu-aarch64}
native=${CC:-gcc}
for program in "$cross" "$emulator"; do
    if ! command -v "$program" >/dev/null; then
        echo "SKIPPED: aarch64 is NOT tested here, there is no $program" >&2
        echo "  Debian: apt-get install gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user" >&2
        exit 77
    fi
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
build=${1:-$work/build}
mkdir -p "$build/include"
# Plain C, the same for every processor; the other headers of this machine stay out of the way.
cp /usr/include/zstd.h /usr/include/xxhash.h "$build/include"

flags=(-std=gnu17 -O2 -g -I. -Iinclude -isystem "$build/include" -DGYRE_SLOW_ASSERTS
    -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla
    -Wno-unused-result -Werror)
coroutines=(io/base/*.c io/co/*.c)
machine=("${coroutines[@]}" io/{arena,file,identity,loop,posix,posix_file,posix_wake}.c
    io/world_sync.c io/sim/*.c tests/aarch64/stand_ins.c)
engine=("${machine[@]}" engine/*/*.c -DGYRE_WITH_ENGINE)
here=io/co/switch_$(uname -m).S
[ -f "$here" ] || here=-DGY_SWITCH_UCONTEXT

# try <name> <flags>...
try() {
    local name=$1
    shift
    "$cross" "${flags[@]}" -static "$@" "${coroutines[@]}" \
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

# make_programs <compiler> <name> <sources and definitions of the library>...
make_programs() {
    local compiler=$1 name=$2 main word definitions=()
    shift 2
    for word in "$@"; do # some change a struct: both sides have to agree
        [[ $word != -D* ]] || definitions+=("$word")
    done
    "$compiler" "${flags[@]}" -r -nostdlib "$@" -o "$build/$name.o"
    for main in worlds engine; do
        [[ $main = worlds || $* = *GYRE_WITH_ENGINE* ]] || continue
        "$compiler" "${flags[@]}" -static "${definitions[@]}" "tests/aarch64/${main}_main.c" \
            "$build/$name.o" -o "$build/${main}_$name"
    done
}

# Both compilers at once.
if command -v "$native" >/dev/null; then
    make_programs "$native" native "${engine[@]}" "$here" &
fi
make_programs "$cross" arm "${engine[@]}" io/co/switch_aarch64.S
make_programs "$cross" arm_ucontext "${machine[@]}" -DGY_SWITCH_UCONTEXT
if command -v "$native" >/dev/null; then
    wait $!
fi

# run <program> [emulator]: in an empty folder of its own
run() {
    printf '%s:\n' "$1"
    rm -rf "$work/store"
    "${@:2}" "$build/$1" "$work/store" | tee "$build/$1.log"
}

run worlds_arm "$emulator"
run worlds_arm_ucontext "$emulator"
run engine_arm "$emulator"
if ! command -v "$native" >/dev/null; then
    echo "no $native: not compared with this machine"
    exit 0
fi
for main in worlds engine; do
    run "${main}_native"
    cmp <(grep '^trace' "$build/${main}_native.log") <(grep '^trace' "$build/${main}_arm.log") ||
        { echo "${main}_main: a seed runs differently on aarch64" >&2; exit 1; }
done
cmp <(grep '^trace' "$build/worlds_native.log") <(grep '^trace' "$build/worlds_arm_ucontext.log") ||
    { echo "worlds_main: a seed runs differently with ucontext" >&2; exit 1; }
echo "every seed runs the same on aarch64 and on $(uname -m)"
