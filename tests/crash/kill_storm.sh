#!/usr/bin/env bash
# A writing process is killed again and again on the real disk; see kill_storm.c. KILLS=1000 for
# as many.
set -euo pipefail
dir=$(mktemp -d "${TMPDIR:-/tmp}/gyre-kill-XXXXXX")
trap 'rm -rf "$dir"; rm -f /dev/shm/gyre-kill-* 2>/dev/null || true' EXIT
"$1/kill_storm" "$dir/store" "${KILLS:-150}"
