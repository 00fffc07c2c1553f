#!/usr/bin/env bash
# Every header compiles alone: public ones as C11 and C++17 with -Wpedantic, internal ones as we
# compile the library. And all public ones together, twice.
set -uo pipefail
cd "$GYRE_SOURCE"
cxx=${CXX:-$(command -v g++ || command -v clang++ || command -v c++ || true)}
failed=0
compile() { # label, command...
    local label=$1
    shift
    if ! "$@"; then
        printf 'does not stand alone: %s\n' "$label"
        failed=1
    fi
}

for header in include/gyre/*.h; do
    name=gyre/$(basename "$header")
    text="#include \"$name\""$'\n'"#include \"$name\""
    compile "$name (C11)" "$CC" -std=c11 -Iinclude -Wall -Wextra -Wpedantic -Wconversion -Wshadow \
        -Wstrict-prototypes -Werror -fsyntax-only -x c - <<<"$text"
    if [ -n "$cxx" ]; then
        compile "$name (C++17)" "$cxx" -std=c++17 -Iinclude -Wall -Wextra -Wpedantic -Wconversion \
            -Wold-style-cast -Werror -fsyntax-only -x c++ - <<<"$text"
    fi
done
for header in io/*.h io/*/*.h engine/*/*.h; do
    [ -e "$header" ] || continue
    case $header in */ban.h) continue ;; esac # comes last in a .c file and stands on nothing
    compile "$header" "$CC" -std=gnu17 -I. -Iinclude -Wall -Wextra -Wshadow -Wconversion \
        -Wstrict-prototypes -Werror -fsyntax-only -x c - <<<"#include \"$header\""
done
[ -n "$cxx" ] || echo "no C++ compiler: C++17 was not checked"
exit "$failed"
