#!/usr/bin/env bash
# Install into an empty prefix, move it, then build and run a C and a C++ program against it, each
# through find_package and through pkg-config, shared and static: what a user of the package does.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cxx=${CXX:-$(command -v g++ || command -v clang++ || true)}
kinds=c
if [ -n "$cxx" ]; then
    kinds="c cpp"
    export CXX=$cxx
else
    echo "no C++ compiler: the C++ program was not built"
fi

must() { # command...: show what it printed if it fails
    "$@" >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
}

must "$CMAKE" --install "$GYRE_BUILD" --prefix "$work/first"
mv "$work/first" "$work/prefix" # nothing in it may remember where it was installed
if grep -rlF -e "$work/first" -e "$GYRE_SOURCE" --include='*.pc' --include='*.cmake' \
    "$work/prefix"; then
    echo "the files above name a folder of the build"
    exit 1
fi
libdir=$(dirname "$(find "$work/prefix" -name 'libgyre.so.0')")
export PKG_CONFIG_PATH=$libdir/pkgconfig

run() { # label, program...
    local label=$1
    shift
    mkdir "$work/run"
    (cd "$work/run" && "$@") || { echo "FAILED: $label"; exit 1; }
    rm -rf "$work/run"
    echo "ok: $label"
}

for kind in $kinds; do
    must "$CMAKE" -S "$here/$kind" -B "$work/build-$kind" -G Ninja \
        -DCMAKE_PREFIX_PATH="$work/prefix"
    must "$CMAKE" --build "$work/build-$kind"
    run "$kind, find_package, shared" "$work/build-$kind/consume_shared"
    run "$kind, find_package, static" "$work/build-$kind/consume_static"
    run "$kind, find_package, simulator" "$work/build-$kind/consume_sim"
    readelf -d "$work/build-$kind/consume_shared" | grep -q 'NEEDED.*libgyre\.so\.0' ||
        { echo "consume_shared does not use libgyre.so.0"; exit 1; }

    if [ "$kind" = c ]; then
        compiler="$CC -std=c11"
        source=$here/c/main.c
        sim=$here/c/sim.c
    else
        compiler="$cxx -std=c++17"
        source=$here/cpp/main.cpp
        sim=$here/cpp/sim.cpp
    fi
    flags="-Wall -Wextra -Wpedantic -Werror"
    # shellcheck disable=SC2046,SC2086 # words are meant to be split
    $compiler $flags $(pkg-config --cflags gyre) "$source" -o "$work/shared" \
        $(pkg-config --libs gyre)
    run "$kind, pkg-config, shared" env LD_LIBRARY_PATH="$libdir" "$work/shared"
    # shellcheck disable=SC2046,SC2086
    $compiler $flags $(pkg-config --cflags gyre) "$source" -o "$work/static" \
        -Wl,-Bstatic $(pkg-config --static --libs gyre) -Wl,-Bdynamic
    run "$kind, pkg-config, static" "$work/static"
    # shellcheck disable=SC2046,SC2086
    $compiler $flags $(pkg-config --cflags gyre_sim) "$sim" -o "$work/sim" \
        $(pkg-config --libs gyre_sim)
    run "$kind, pkg-config, simulator" "$work/sim"
done

version=$(pkg-config --modversion gyre)
[ "$("$work/static" --version)" = "$version" ] ||
    { echo "gyre.pc says $version, the library does not"; exit 1; }
for command in gyre gyre-bench; do
    if [ -x "$work/prefix/bin/$command" ]; then
        must "$work/prefix/bin/$command" --version
    fi
done
