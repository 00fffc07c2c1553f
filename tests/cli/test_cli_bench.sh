#!/usr/bin/env bash
# gyre-bench: every workload ends well and finds what fills wrote, figures add up, bad input is told
# from bad luck, a signal ends a run with its results. It lies in the folder of the command.
tree=$(cd "$(dirname "$0")/../.." && pwd)
. "$tree/tests/cli/lib.sh"
bench=$(dirname "$gyre")/gyre-bench
[ -x "$bench" ] || { echo "SKIP: no gyre-bench beside $gyre"; exit 77; }

# holds EXPRESSION: of the JSON object d in ./out
holds() {
    python3 -c 'import json, sys
d = json.load(open("out"))
sys.exit(0 if eval(sys.argv[1]) else 1)' "$1" || fail "not true: $1: $(cat out)"
}

# Fills, and what later runs know of them without being told.
exits 0 "$bench" fillrandom --db s --num 20000 --value-size 200 --json
holds 'd["workload"] == "fillrandom" and d["ops"] == 20000 and d["settled"]'
holds 'd["write_amplification"] > 0.99 and d["errors"] == 0'
holds 'd["latency_us"]["p50"] <= d["latency_us"]["p99.99"] <= d["latency_us"]["max"]'
holds 'abs(d["ops"] / d["seconds"] - d["ops_per_sec"]) < 0.01 * d["ops_per_sec"]'
for depth in 0 1 33; do
    exits 0 "$bench" readrandom --db s --depth $depth --ops 3000 --json
    holds 'd["num"] == 20000 and d["value_size"] == 200 and d["ops"] == 3000'
    holds 'd["found_fraction"] == 1 and d["wrong_values"] == 0'
    # memory: each call has workers of its own, and sanitizers make their stacks four times as large
    exits 0 "$bench" multiget --db s --depth $depth --ops 3000 --batch 100 --memory 1G --json
    holds 'd["ops"] == 3000 and d["calls"] == 30 and d["found_fraction"] == 1'
    exits 0 "$bench" readmissing --db s --depth $depth --ops 3000 --json
    holds 'd["ops"] == 3000 and d["found_fraction"] == 0'
    exits 0 "$bench" seekrandom --db s --depth $depth --ops 300 --nexts 5 --json
    holds 'd["ops"] == 300 and 1790 < d["rows"] <= 1800 and d["wrong_values"] == 0'
    exits 0 "$bench" readseq --db s --depth $depth --json
    # 20000 random keys of 20000: 1 - 1/e of them are there
    holds '12400 < d["rows"] < 12900 and d["rows"] == d["ops"] and d["wrong_values"] == 0'
done
exits 0 "$bench" readrandom --db s --keys all --ops 5000 --json
holds '0.60 < d["found_fraction"] < 0.67'
exits 0 "$bench" overwrite --db s --depth 8 --ops 3000 --json
holds 'd["ops"] == 3000'
exits 0 "$bench" readseq --db s --json
holds '12400 < d["rows"] < 12900'
exits 0 "$bench" readrandom --db s --io blocking --warmup 100 --duration 0.2 --json
holds 'd["found_fraction"] == 1 and 0.2 <= d["seconds"] < 5 and d["io"] != "io_uring"'

# Orders in which each key comes once; batches; other sizes; a second fill of the same store.
exits 0 "$bench" fillseq --db seq --num 5001 --batch 100 --key-size 6 --value-size 0 --json
holds 'd["ops"] == 5001 and d["calls"] == 51'
exits 0 "$bench" readseq --db seq --json
holds 'd["rows"] == 5001'
exits 0 "$bench" fillsync --db once --num 3000 --depth 64 --unique --ops 1000 --json
holds 'd["durability"] == "durable" and d["ops"] == 1000'
exits 0 "$bench" readseq --db once --json
holds 'd["rows"] == 1000'
exits 0 "$bench" fillrandom --db once --use-existing --num 3000 --unique --json
exits 0 "$bench" readseq --db once --json
holds 'd["rows"] == 3000'
exits 0 "$bench" fillseq --db once --fresh --num 10 --durability nowal --no-settle --json
holds 'not d["settled"]'
exits 0 "$bench" readseq --db once --json
holds 'd["rows"] == 10'

# Text.
exits 0 "$bench" readrandom --db s --ops 100
grep -q 'latency us : mean' out || fail "no latencies in the text: $(cat out)"

# Bad input leaves everything as it is.
exits 2 "$bench"
exits 2 "$bench" readalot --db s
says "unknown workload 'readalot'"
exits 2 "$bench" readrandom
says '--db DIR is needed'
exits 2 "$bench" readrandom --db s --depth many
says "--depth takes a number"
exits 2 "$bench" readrandom --db s --speed 3
says "unknown option '--speed'"
exits 2 "$bench" readrandom --db s --options speed=3
says 'speed'
exits 2 "$bench" readrandom --db s --key-size 24
says 'was filled with --key-size 16'
exits 2 "$bench" readrandom --db none
says 'no store at none'
exits 2 "$bench" fillseq --db s
says '--fresh'
exits 2 "$bench" fillseq --db tiny --key-size 4 --num 3G
for path in none tiny; do
    [ ! -e $path ] || fail "bad input made a store"
done
exits 0 "$bench" readseq --db s --json
holds '12400 < d["rows"] < 12900'

# A signal: results so far, marked; the store goes on.
"$bench" readrandom --db s --duration 60 --depth 4 --json >out 2>err &
sleep 0.7
kill -INT $!
code=0
wait $! || code=$?
[ $code -eq 130 ] || fail "SIGINT: exit code $code: $(cat err)"
holds 'd["interrupted"] and d["ops"] > 0 and d["seconds"] < 30'
"$bench" fillrandom --db cut --num 100000000 --json >out 2>err &
sleep 0.7
kill -TERM $!
code=0
wait $! || code=$?
[ $code -eq 143 ] || fail "SIGTERM: exit code $code: $(cat err)"
holds 'd["interrupted"] and not d["settled"]'
exits 0 "$bench" readrandom --db cut --ops 1000 --json
holds 'd["found_fraction"] == 1'
