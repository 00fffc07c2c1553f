#!/usr/bin/env bash
# Who calls what, read from the objects, since a header or a macro can hide a call from a grep.
#   everywhere  no threads (asking which one this is, is fine), no atomics of the runtime, no
#               signals, nothing printed
#   io          memory comes from heap.c and the worlds only
#   engine      an allow-list: our own functions, zstd, xxHash, and what works on memory alone. No
#               file, clock, random number, environment or heap but through the seam.
set -euo pipefail

bad=''
while IFS= read -r object; do
    [ -n "$object" ] || continue
    name=${object#*/gyre_objects.dir/}
    name=${name#./}
    called=$(nm --undefined-only --format=just-symbols "$object")
    case $name in
    engine/*)
        forbidden=$(grep -vxE \
            -e '(gyre|gy)_.*|ZSTD_.*|ZDICT_.*|XXH(3|64|128)?_.*' \
            -e '(__)?mem(cpy|move|set|cmp|chr)(_chk)?|bcmp' \
            -e 'str(len|nlen|cmp|ncmp|chr|rchr|spn|cspn)' \
            -e '(__)?v?snprintf(_chk)?' \
            -e '__stack_chk_(fail|guard)|_GLOBAL_OFFSET_TABLE_' <<<"$called" || true)
        ;;
    io/base/heap.c* | io/world_*) forbidden='' ;;
    *)
        forbidden=$(grep -xE <<<"$called" \
            -e 'malloc|calloc|realloc|free|aligned_alloc|posix_memalign|memalign' \
            -e 'strn?dup|v?asprintf|getline' \
            || true)
        ;;
    esac
    forbidden+=$'\n'$(grep -vx pthread_self <<<"$called" | grep -xE \
        -e 'pthread_.*|thrd_.*|mtx_.*|cnd_.*|clone3?|fork|vfork' \
        -e '__tls_get_addr|__atomic_.*|__sync_.*' \
        -e 'signal|raise|kill|sigaction|sigprocmask|bsd_signal' \
        -e '(__)?v?(f|d)?printf(_chk)?|puts|putchar|fputs|fputc|fwrite|putc|perror|v?syslog' ||
        true)
    for symbol in $(sort -u <<<"$forbidden"); do
        bad+="$name: $symbol"$'\n'
    done
done <"$GYRE_BUILD/objects.txt"
if [ -n "$bad" ]; then
    printf 'calls that do not belong there:\n%s' "$bad"
    exit 1
fi
