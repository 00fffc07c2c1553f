#!/usr/bin/env bash
# run_first.sh [options] DIR - the first measurement of a build, as a Markdown table on stdout.
#
#   --bench PATH    gyre-bench (default: found in PATH or build/*)
#   --num N         keys (1000000); values are 1 KiB
#   --seconds N     length of each read run and of fio (10)
#
# Random BUFFERED puts; one sequential pass over the store, since behind a virtual disk the host
# caches what was just written; then fio and gets of the same amount of data minutes apart, twice
# and interleaved; then absent keys, scans, seeks and durable puts. Each run is a process of its
# own with a seed of its own. DIR must be on the disk that is meant, and be empty of stores.
set -euo pipefail
here=$(dirname "$(realpath "$0")")
bench='' num=1000000 seconds=10

while [ $# -gt 1 ]; do
    case $1 in
    --bench) bench=$2 ;;
    --num) num=$2 ;;
    --seconds) seconds=$2 ;;
    *) echo "run_first.sh: unknown option '$1'" >&2; exit 2 ;;
    esac
    shift 2
done
dir=${1:-}
[ -d "$dir" ] || { sed -n '2,6s/^# \?//p' "$0" >&2; exit 2; }
if [ -z "$bench" ]; then
    bench=$(command -v gyre-bench || find "$here/../build" -name gyre-bench -type f | head -n 1)
fi
[ -x "$bench" ] || { echo "run_first.sh: no gyre-bench; --bench PATH" >&2; exit 2; }

results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT
store=$dir/first.gyre
sync_store=$dir/first_sync.gyre
step=0

# run NAME WORKLOAD OPTION...: one line of the table
run() {
    local name=$1
    shift
    step=$((step + 1))
    echo "run_first: $name" >&2
    "$bench" "$@" --json >"$results/$(printf %02d $step).json" ||
        echo "run_first: $name: exit code $?" >&2
    echo "$name" >"$results/$(printf %02d $step).name"
}
fio_run() {
    step=$((step + 1))
    echo 'run_first: fio' >&2
    "$here/fio_randread.sh" --json "$dir" "$size" "$seconds" >"$results/$(printf %02d $step).json"
    echo 'fio: 4 KiB random reads, 128 in flight' >"$results/$(printf %02d $step).name"
}

random=(--db "$store" --cache-size 64M --duration "$seconds")
run "$num random puts, BUFFERED" fillrandom --fresh --db "$store" --num "$num" --seed 11
size=$(du -sm "$store" | cut -f1)M
run 'sequential pass (equalises host caching)' readseq --db "$store" --cache-size 64M
fio_run
run 'random get, 128 coroutines' readrandom "${random[@]}" --depth 128 --seed 21
fio_run
run 'random get, 128 coroutines, again' readrandom "${random[@]}" --depth 128 --seed 22
run 'random get, 16 coroutines' readrandom "${random[@]}" --depth 16 --seed 23
run 'random get, 1 coroutine' readrandom "${random[@]}" --depth 1 --seed 24
run 'multi_get of 32' multiget "${random[@]}" --batch 32 --seed 25
run 'multi_get of 128' multiget "${random[@]}" --batch 128 --seed 26
run 'absent keys, 16 coroutines' readmissing "${random[@]}" --depth 16 --seed 27
run 'scan' readseq --db "$store" --cache-size 64M
run 'seek + 50 nexts, 1 coroutine' seekrandom "${random[@]}" --seed 28
run 'seek + 50 nexts, 16 coroutines' seekrandom "${random[@]}" --depth 16 --seed 29
for depth in 1 64 256; do
    run "durable puts, $depth writers" fillsync --fresh --db "$sync_store" --num "$num" \
        --duration "$seconds" --depth $depth --seed $((30 + depth)) --no-settle
done
# A store that fits into the cache: the first pass fills it.
warm=$((num < 1000000 ? num : 1000000))
run 'cache filled (not measured)' fillseq --fresh --db "$sync_store" --num $warm --value-size 100
for depth in 1 16; do
    run "cached get, $warm x 100 B, depth $depth" readrandom --db "$sync_store" \
        --cache-size 512M --warmup $warm --duration "$seconds" --depth $depth --seed 41
done

python3 - "$results" <<'END'
import glob, json, sys

def number(x, digits=2):
    return "-" if x is None else f"{x:,.{digits}f}"

def row(name, d):
    if "jobs" in d:
        job = d["jobs"][0]
        r, p = job["read"], job["read"]["clat_ns"]["percentile"]
        cpu = (job["usr_cpu"] + job["sys_cpu"]) / 100 * r["runtime"] * 1000 / r["total_ios"]
        return [name, number(r["iops"], 0), "-", *(number(p[q] / 1e3, 0) for q in (
            "50.000000", "99.000000", "99.900000")), number(r["clat_ns"]["max"] / 1e3, 0),
            number(cpu), "-", "-", "-", "-"]
    lat = d["latency_us"]
    return [name, number(d["ops_per_sec"], 0), number(d["ops_per_sec_settled"], 0),
            *(number(lat[q], 1) for q in ("p50", "p99", "p99.9", "max")),
            number(d["cpu_us_per_op"]), number(d["write_amplification"]),
            number(d["read_amplification"]), number(d["space_amplification"]),
            f"{number(d['run_us_max'], 0)} ({d['run_name_max']})"]

head = ["workload", "ops/s", "settled ops/s", "p50 us", "p99 us", "p99.9 us", "max us",
        "cpu us/op", "write amp", "read amp", "space amp", "longest run us"]
print("| " + " | ".join(head) + " |\n|" + "---|" * len(head))
fio, gets, checks = [], [], []
for path in sorted(glob.glob(sys.argv[1] + "/*.json")):
    name = open(path[:-5] + ".name").read().strip()
    text = open(path).read()
    if not text.strip():
        print(f"| {name} | failed |" + " |" * (len(head) - 2))
        continue
    d = json.loads(text)
    print("| " + " | ".join(row(name, d)) + " |")
    if "jobs" in d:
        fio.append(d["jobs"][0]["read"]["iops"])
        continue
    if name.startswith("random get, 128"):
        gets.append((d["ops_per_sec"], d["read_amplification"]))
    for key in ("read", "write"):
        ratio = (d["proc_io"] or {}).get(key + "_ratio")
        if ratio is not None and d[f"device_bytes_{key if key == 'read' else 'written'}"] > 1 << 24:
            checks.append((ratio, name, key))
    if d["errors"] or d["wrong_values"]:
        print(f"**{name}: {d['errors']} errors, {d['wrong_values']} wrong values**")
if fio and gets:
    raw, ours = sum(fio) / len(fio), sum(g[0] for g in gets) / len(gets)
    reads = sum(g[0] * g[1] for g in gets) / len(gets)
    print(f"\nRandom gets at depth 128: {ours:,.0f}/s, {ours / raw:.2f}x fio's {raw:,.0f} reads/s; "
          f"{reads:,.0f} device reads/s, {reads / raw:.2f}x.")
if checks:
    low, high = min(checks), max(checks)
    print(f"Engine's device bytes against /proc/self/io: {low[0]:.3f} ({low[1]}, {low[2]}) to "
          f"{high[0]:.3f} ({high[1]}, {high[2]}).")
END
rm -rf "$store" "$sync_store" "$dir/fio_randread.data"
