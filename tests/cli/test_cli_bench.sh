#!/usr/bin/env bash
# gyre-bench: every workload ends well and finds what fills wrote, in all forms of Gyre and on the
# bare device; figures add up; a signal ends a run with its results.
. "$(dirname "$0")/bench_lib.sh"

# Fills, and what later runs know of them without being told.
runs fillrandom --db=s --records=20000 --value_size=200
holds 'g["workload"] == "fillrandom" and j["write"]["total_ios"] == 20000'
holds 'g["settled"] == "yes"'
holds 'g["engine_write_amplification"] > 0.99 and j["error"] == 0'
holds 'abs(j["write"]["total_ios"] / g["seconds"] / j["write"]["iops"] - 1) < 0.01'
for engine in gyre gyre-blocking gyre-completion; do
    for depth in 1 33; do
        [ $engine != gyre-blocking ] || [ $depth = 1 ] || continue
        how=(--db=s --ioengine=$engine --iodepth=$depth)
        runs readrandom "${how[@]}" --ops=3000
        holds 'g["records"] == 20000 and g["value_size"] == "200"'
        holds 'j["read"]["total_ios"] == g["lookups"] == 3000'
        holds 'g["found_fraction"] == 1 and g["wrong_values"] == 0'
        # memory: sanitizers make stacks four times as large
        runs multireadrandom "${how[@]}" --ops=3000 --batch=100 --memory=1G
        holds 'j["read"]["total_ios"] == 3000 and j["read"]["clat_ns"]["N"] == 30'
        holds 'g["found_fraction"] == 1'
        runs readmissing "${how[@]}" --ops=3000
        holds 'g["lookups"] == 3000 and g["found_fraction"] == 0'
        runs seekrandom "${how[@]}" --ops=300 --nexts=5
        holds 'j["read"]["total_ios"] == 300 and 1790 < g["rows"] <= 1800'
        holds 'g["wrong_values"] == 0'
        for walk in readseq readreverse; do
            runs $walk "${how[@]}"
            # 20000 random keys of 20000: 1 - 1/e of them are there
            holds '12400 < g["rows"] < 12900 and g["rows"] == j["read"]["total_ios"]'
            holds 'g["wrong_values"] == 0'
        done
        runs updaterandom "${how[@]}" --ops=500
        holds 'j["write"]["total_ios"] == 500 and g["found_fraction"] == 1'
    done
done
runs readrandom --db=s --seed=5 --ops=1000 # another seed reads other keys, not other values
holds 'g["wrong_values"] == 0'
runs readrandom --db=s --keys=all --ops=5000
holds '0.60 < g["found_fraction"] < 0.67'
runs overwrite --db=s --iodepth=8 --ops=3000
holds 'j["write"]["total_ios"] == 3000'
runs readseq --db=s
holds '12400 < g["rows"] < 12900'
runs readrandom --db=s --io=blocking --ramp_time=50ms --runtime=0.2 --time_based
holds 'g["found_fraction"] == 1 and 0.19 <= g["seconds"] < 5 and "io=sync" in g["configuration"]'
for side in readwhilewriting readwhilescanning; do
    runs $side --db=s --iodepth=4 --runtime=0.3 --time_based
    holds 'g["found_fraction"] == 1 and j["write"]["total_ios"] == 0 and len(d["jobs"]) == 1'
done
holds 'g["user_read_bytes"] > j["read"]["io_bytes"]' # what the caller at the side did counts there

# Orders in which each key comes once; batches; other sizes; a second fill of the same store.
runs fillseq --db=seq --records=5001 --batch=100 --key_size=6 --value_size=0
holds 'j["write"]["total_ios"] == 5001 and j["write"]["clat_ns"]["N"] == 51'
runs readseq --db=seq
holds 'g["rows"] == 5001'
runs fillsync --db=once --records=3000 --iodepth=64 --unique --ops=1000
holds 'g["durability"] == "durable" and j["write"]["total_ios"] == 1000'
runs readseq --db=once
holds 'g["rows"] == 1000'
runs fillrandom --db=once --existing --records=3000 --unique
runs readseq --db=once
holds 'g["rows"] == 3000'
runs deleterandom --db=once --ops=3000 --iodepth=4
holds 'j["trim"]["total_ios"] == 3000'
runs readrandom --db=once --ops=3000
holds 'g["found_fraction"] == 1 and 1000 < g["keys_present"] < 1200' # 1/e of them are left
runs fillseq --db=once --fresh --records=10 --durability=nowal --settle=0
holds 'g["settled"] == "not waited for"'
runs readseq --db=once
holds 'g["rows"] == 10'
runs fillrandom --db=hash --records=3000 --unique --insertorder=hashed --value_size=10-500
for walk in readseq readreverse; do # each row once: no part overlaps another, no more are there
    runs $walk --db=hash --iodepth=7 --ops=100000
    holds 'g["rows"] == 3000 and g["wrong_values"] == 0'
    runs $walk --db=seq --iodepth=7 --ops=100000
    holds 'g["rows"] == 5001'
done
runs ycsb-e --db=hash --iodepth=4
holds 'g["wrong_values"] == 0 and j["write"]["total_ios"] > 50'

# The bare device: one request for an operation.
runs fillrandom --ioengine=raw --db=raw --records=20000 --value_size=1000 --iodepth=16 --ops=500
holds '500 * 4096 <= g["proc_written_bytes"] < 700 * 4096 or g["proc_written_bytes"] == 0'
runs readrandom --ioengine=raw --db=raw --iodepth=16 --ops=500
holds 'g["lookups"] == 500'
runs readseq --ioengine=raw --db=raw
holds 'g["rows"] >= 20000'

# Open loop: the rate is held, also with exponential gaps.
for engine in gyre gyre-completion; do
    for process in linear poisson; do
        runs readrandom --db=s --ioengine=$engine --iodepth=8 --rate_iops=500 \
            --rate_process=$process --time_based --runtime=1
        holds '380 < j["read"]["total_ios"] + g["missed_arrivals"] < 620 and g["loop"] == "open"'
    done
done

# A store that was not closed is recovered, with all that was answered.
runs fillrandom --db=dead --records=20000 --unique --value_size=100 --settle=0 --crash
runs readrandom --db=dead --ops=20000
holds 'g["found_fraction"] == 1 and g["engine"]["recovered_records"] > 0 and g["open_ms"] > 0'

# Text.
exits 0 "$bench" readrandom --db=s --ops=100
grep -q '99.99th=' out || fail "no percentiles in the text: $(cat out)"

# A signal: results so far, marked; the store goes on.
"$bench" readrandom --db=s --runtime=60 --time_based --iodepth=4 --output-format=json >out 2>err &
sleep 0.7
kill -INT $!
code=0
wait $! || code=$?
[ $code -eq 130 ] || fail "SIGINT: exit code $code: $(cat err)"
holds 'g["interrupted"] and j["read"]["total_ios"] > 0 and g["seconds"] < 30'
"$bench" fillrandom --db=cut --records=10000000 --value_size=100 --output-format=json >out 2>err &
sleep 0.7
kill -TERM $!
code=0
wait $! || code=$?
[ $code -eq 143 ] || fail "SIGTERM: exit code $code: $(cat err)"
holds 'g["interrupted"] and g["settled"] == "no"'
runs readrandom --db=cut --ops=1000
holds 'g["found_fraction"] == 1 and g["store_state"] == "with compaction left to do"'
"$bench" readrandom --db=s --rate_iops=1 --iodepth=4 --runtime=60 >out 2>err & # all of them waiting
sleep 0.7
kill -INT $!
code=0
wait $! || code=$?
[ $code -eq 130 ] || fail "SIGINT while waiting: exit code $code: $(cat err)"
grep -q 'INTERRUPTED' out || fail "not marked: $(cat out)"
