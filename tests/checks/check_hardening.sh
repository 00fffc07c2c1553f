#!/usr/bin/env bash
# What hardening the linker and the compiler left in the shared library and the commands
# (docs/decisions/0011-hardening.md): relocations read-only and resolved at start, no executable
# stack, no writable code, programs at random addresses, stack protector, checked libc calls; and no
# claim to keep shadow stacks, which our own stack switch would break.
set -euo pipefail
failed=0
fail() { printf '%s: %s\n' "$1" "$2"; failed=1; }

look() { # file
    local file=$1 segments dynamic symbols
    segments=$(readelf -lW "$file")
    dynamic=$(readelf -dW "$file")
    symbols=$(readelf -sW "$file")
    grep -q GNU_RELRO <<<"$segments" || fail "$file" 'no RELRO segment'
    grep -Eq 'BIND_NOW|FLAGS.*NOW' <<<"$dynamic" || fail "$file" 'symbols are bound late'
    grep -Eq 'GNU_STACK.* RW ' <<<"$segments" || fail "$file" 'the stack is executable'
    grep -Eq 'LOAD.* RWE ' <<<"$segments" && fail "$file" 'a segment is writable and executable'
    grep -q TEXTREL <<<"$dynamic" && fail "$file" 'relocations in code'
    grep -q __stack_chk_fail <<<"$symbols" || fail "$file" 'no stack protector'
    grep -Eq '__(snprintf|vsnprintf|memcpy|fprintf)_chk' <<<"$symbols" ||
        fail "$file" 'no checked libc calls (_FORTIFY_SOURCE)'
    readelf -nW "$file" | grep -q SHSTK && fail "$file" 'says that it keeps shadow stacks'
    return 0
}

look "$GYRE_SHARED"
for program in gyre gyre-bench; do
    file=$GYRE_BUILD/$program
    [ -e "$file" ] || continue
    look "$file"
    readelf -hW "$file" | grep -q 'Type: *DYN' || fail "$file" 'at a fixed address (no PIE)'
    readelf -dW "$file" | grep -q 'FLAGS_1.*PIE' || fail "$file" 'not linked with -pie'
done
exit $failed
