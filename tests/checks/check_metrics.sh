#!/usr/bin/env bash
# What gyre_metrics_text writes is what Prometheus reads, by the word of promtool (Debian:
# prometheus): format, names, units, no two metrics that are the same.
set -euo pipefail
command -v promtool >/dev/null || {
    echo "SKIP: no promtool; Debian: apt-get install prometheus"
    exit 77
}
gyre=$GYRE_BUILD/gyre
[ -x "$gyre" ] || { echo "SKIP: no gyre command was built"; exit 77; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
store=$folder/'a "quoted" name'
for i in 1 2 3; do "$gyre" put "$store" "key$i" "value$i"; done
"$gyre" stat "$store" --prometheus >"$folder/metrics"
promtool check metrics <"$folder/metrics"
samples=$(grep -vc '^#' "$folder/metrics")
[ "$samples" -gt 200 ] || { echo "only $samples samples"; exit 1; }
grep -q '^gyre_operation_duration_seconds_bucket{operation="get",le="+Inf"} ' "$folder/metrics"
# and it can say no
! sed 's/^gyre_tables{/gyre_tables{x=y,/' "$folder/metrics" | promtool check metrics 2>/dev/null ||
    { echo "promtool takes everything"; exit 1; }
echo "$samples samples"
