#!/usr/bin/env bash
# Man pages format without a warning.
set -uo pipefail
command -v man >/dev/null || { echo "SKIP: no man"; exit 77; }
shopt -s nullglob
pages=("$GYRE_SOURCE"/docs/man/*.[1-9])
[ ${#pages[@]} -gt 0 ] || { echo "SKIP: no man pages"; exit 77; }
failed=0
for page in "${pages[@]}"; do
    warnings=$(LC_ALL=C.UTF-8 MANROFFSEQ='' MANWIDTH=80 \
        man --warnings -E UTF-8 -l -Tutf8 -Z "$page" 2>&1 >/dev/null)
    if [ -n "$warnings" ]; then
        printf '%s\n' "$warnings"
        failed=1
    fi
done
exit "$failed"
