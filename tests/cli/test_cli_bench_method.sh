#!/usr/bin/env bash
# gyre-bench: its method, with an engine that does nothing: an open loop shows a stall that a closed
# one hides, mixes of workloads are those of the book, and the harness costs little.
. "$(dirname "$0")/bench_lib.sh"
null=(--ioengine=null)

# Goal: a stall of 500 ms is seen by the open loop and hidden by the closed one. At 1000 a second
# some 500 operations should have begun meanwhile, of 3000: their waiting is spread over 0..500 ms.
# The closed loop has one operation that took 500 ms, among millions.
stall=(--time_based --runtime=3 --stall_time=500ms --stall_after=1s)
runs readrandom "${null[@]}" "${stall[@]}"
holds 'j["read"]["clat_ns"]["max"] >= 490e6' # it was there
holds 'j["read"]["clat_ns"]["percentile"]["99.900000"] < 100e6' # and is hidden
for process in linear poisson; do
    for depth in 1 16; do
        runs readrandom "${null[@]}" "${stall[@]}" --rate_iops=1000 --rate_process=$process \
            --iodepth=$depth
        holds 'j["read"]["clat_ns"]["percentile"]["90.000000"] > 100e6'
        holds 'j["read"]["clat_ns"]["percentile"]["99.000000"] > 400e6'
        # all that were due were done, late as they were
        holds '2600 < j["read"]["total_ios"] < 3400'
        holds 'sum(t["stalled_ops"] for t in g["series"]) > 400'
    done
done
# Goal: a rate that cannot be had is told, not passed over. (A stall up to the end.)
runs readrandom "${null[@]}" --time_based --runtime=1 --stall_time=2s --stall_after=500ms \
    --rate_iops=1000
holds 'g["missed_arrivals"] > 300'

# Goal: YCSB's mixes and the others, by counting.
# mix WORKLOAD READS WRITES DELETES: percent
mix() {
    runs "$1" "${null[@]}" --ops=200000 --records=1000
    holds "all(abs(100 * j[c]['total_ios'] / 200000 - share) < 0.6 for c, share in \
        (('read', $2), ('write', $3), ('trim', $4)))"
}
mix ycsb-a 50 50 0
mix ycsb-b 95 5 0
mix ycsb-c 100 0 0
mix ycsb-d 95 5 0
mix ycsb-e 95 5 0
mix ycsb-f 50 50 0
mix randrw 50 50 0
mix deleterandom 0 0 100
mix updaterandom 0 100 0
for workload in a b c f; do
    runs ycsb-$workload "${null[@]}" --ops=10
    holds 'g["distribution"] == "zipfian"'
done
runs ycsb-d "${null[@]}" --ops=10
holds 'g["distribution"] == "latest"'

# Goal: the harness takes less than a fifth of the time of 1,000,000 operations a second: under 200
# ns of CPU each. The bound here is loose, for machines that are busy and for builds with sanitizers
# there is none.
runs ycsb-a "${null[@]}" --ops=3000000 --records=1000000
[ -n "${GYRE_TEST_SLOW:-}" ] || holds 'g["cpu_us_per_op"] < 0.5'
holds 'g["harness_cpu_seconds"] < 0.5'
