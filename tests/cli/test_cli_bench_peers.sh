#!/usr/bin/env bash
# gyre-bench: RocksDB, LevelDB and LMDB do the same as Gyre, where they are installed; where one is
# not, asking for it says which package to install. None of them is linked.
. "$(dirname "$0")/bench_lib.sh"
if command -v ldd >/dev/null && ldd "$bench" | grep -qE 'rocksdb|leveldb|lmdb'; then
    fail "a peer is linked: $(ldd "$bench")"
fi
for engine in rocksdb leveldb lmdb; do
    code=0
    "$bench" fillrandom --ioengine=$engine --db=s$engine --records=5000 --unique --iodepth=3 \
        --value_size=10-500 --memory=64m --output-format=json >out 2>err || code=$?
    if [ $code -eq 2 ]; then
        grep -qE 'install lib[a-z]+-dev' err || fail "no advice: $(cat err)"
        [ ! -e s$engine ] || fail "a store was made without an engine"
        echo "note: $engine is not here"
        continue
    fi
    [ $code -eq 0 ] || fail "$engine: exit code $code: $(cat err)"
    holds 'j["write"]["total_ios"] == 5000 and "library=lib" in g["configuration"]'
    how=(--ioengine=$engine --db=s$engine --iodepth=3 --memory=64m)
    runs readrandom "${how[@]}" --ops=2000
    holds 'g["found_fraction"] == 1 and g["wrong_values"] == 0 and g["lookups"] == 2000'
    runs multireadrandom "${how[@]}" --ops=2000
    holds 'g["found_fraction"] == 1 and g["wrong_values"] == 0'
    runs readmissing "${how[@]}" --ops=2000
    holds 'g["found_fraction"] == 0 and g["lookups"] == 2000'
    for walk in readseq readreverse; do
        runs $walk "${how[@]}"
        holds 'g["rows"] == 5000 and g["wrong_values"] == 0'
    done
    runs seekrandom "${how[@]}" --ops=200 --nexts=9
    holds '1900 < g["rows"] <= 2000 and g["wrong_values"] == 0'
    for workload in ycsb-a ycsb-d ycsb-e ycsb-f updaterandom; do
        runs $workload "${how[@]}" --ops=1000
        holds 'g["wrong_values"] == 0 and j["error"] == 0 and (g["found_fraction"] or 1) == 1'
    done
    runs readwhilewriting "${how[@]}" --ops=2000 --write_rate=1000
    holds 'g["found_fraction"] == 1'
    runs deleterandom "${how[@]}" --ops=5000 --seed=3
    runs fillrandom "${how[@]}" --existing --ops=200 --batch=10 --durability=durable
    holds 'j["write"]["total_ios"] == 200 and j["write"]["clat_ns"]["N"] == 20'
    exits 2 "$bench" readrandom --db=s$engine
    says "is a store of $engine, not of gyre"
done
