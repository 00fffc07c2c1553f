#!/usr/bin/env bash
# The library has no writable globals and no thread-local storage, so that loops on several threads
# share nothing: no object may have bytes in .data, .bss, .tdata, .tbss or a common symbol.
# .data.rel.ro (tables of pointers, read-only after relocation) is fine.
set -euo pipefail
bad=$(objdump -ht "$GYRE_STATIC" | awk '
    /file format/                            { object = $1 }
    $1 ~ /^[0-9]+$/ && $2 ~ /^\.(t?data|t?bss)(\.|$)/ && $2 !~ /^\.data\.rel\.ro/ && $3 !~ /^0+$/ {
        print object " section " $2 " has 0x" $3 " bytes" }
    / O \.(t?data|t?bss)/ && !/ O \.data\.rel\.ro/ { print object "    " $NF }
    / O \*COM\*/                             { print object " common symbol " $NF }')
if [ -n "$bad" ]; then
    printf 'writable state in the library:\n%s\n' "$bad"
    exit 1
fi
