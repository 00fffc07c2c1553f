"""agree.py - does the harness measure what others do? raw against fio, RocksDB against db_bench,
interleaved; medians must be within 10 %."""
import json
import re
import shutil
import statistics
import subprocess

from suite_parts.runner import install

RECORDS = 1_000_000
SECONDS = 4


def fio_reads(file, depth, seed):
    done = subprocess.run(
        ["fio", "--name=r", f"--filename={file}", "--rw=randread", "--bs=4k", "--direct=1",
         "--ioengine=io_uring", f"--iodepth={depth}", "--norandommap", "--time_based",
         f"--runtime={SECONDS}", f"--randseed={seed}", "--output-format=json"],
        capture_output=True, text=True, check=True)
    return json.loads(done.stdout)["jobs"][0]["read"]["iops"]


def db_bench(folder, seed, benchmark, threads=1):
    """The options that the adapter sets, in db_bench's words."""
    options = {
        "num": RECORDS, "key_size": 16, "value_size": 1024, "cache_size": 64 << 20,
        "write_buffer_size": 32 << 20, "max_write_buffer_number": 3,
        "target_file_size_base": 32 << 20, "max_bytes_for_level_base": 128 << 20,
        "level_compaction_dynamic_level_bytes": "true", "max_background_jobs": 2,
        "use_direct_reads": "true", "use_direct_io_for_flush_and_compaction": "true",
        "bloom_bits": 10, "cache_index_and_filter_blocks": "true",
        "pin_l0_filter_and_index_blocks_in_cache": "true", "format_version": 5,
        "compression_type": "none", "open_files": -1, "bytes_per_sync": 1 << 20,
        "enable_pipelined_write": "false", "threads": threads, "seed": seed, "db": folder,
        "benchmarks": benchmark,
        "histogram": 1,  # it looks at the clock for each operation, as gyre-bench does
    }
    if benchmark.startswith("readrandom"):
        options.update(use_existing_db="true", duration=SECONDS)
    done = subprocess.run(["db_bench"] + [f"--{k}={v}" for k, v in options.items()],
                          capture_output=True, text=True, check=True)
    return float(re.search(r"micros/op (\d+) ops/sec", done.stdout).group(1))


def compare(name, ours, theirs):
    ratio = statistics.median(ours) / statistics.median(theirs)
    is_good = 0.9 <= ratio <= 1.1
    spread = max(max(x) / min(x) for x in (ours, theirs))
    print(f"{name:40}{statistics.median(ours):>12,.0f}{statistics.median(theirs):>12,.0f}"
          f"{ratio:>8.2f}  {'within 10 %' if is_good else 'NOT within 10 %'}"
          f"{f' (a noisy device: {spread:.1f}x between runs)' if spread > 1.3 else ''}")
    return is_good


def iops(run, label, options, section):
    data, failure = run.bench_run(label, options + ["--output-format=json"])
    if failure:
        raise SystemExit(f"suite: {label}: {failure}")
    return data["jobs"][0][section]["iops"]


def main(run, rounds):
    install(["fio", "rocksdb-tools"])
    good = []
    print(f"{'':40}{'gyre-bench':>12}{'the other':>12}{'ratio':>8}", flush=True)
    raw = run.folder / "raw-agree"
    common = ["--ioengine=raw", f"--db={raw}", f"--records={RECORDS}", "--value_size=1008"]
    iops(run, "agree-prepare", ["readseq"] + common, "read")
    for depth in (1, 32, 128):
        ours, theirs = [], []
        for i in range(rounds):
            ours.append(iops(run, f"agree-raw-{depth}", [
                "readrandom", f"--iodepth={depth}", f"--runtime={SECONDS}", "--time_based",
                f"--randseed={100 * depth + i}"] + common, "read"))
            theirs.append(fio_reads(raw / "raw.data", depth, 100 * depth + i))
        good.append(compare(f"raw and fio, 4 KiB reads, {depth} in flight", ours, theirs))
    good += rocksdb(run, rounds)
    run.remove_stores()
    return 0 if all(good) else 1


def rocksdb(run, rounds):
    store, other = run.folder / "rocksdb-agree", run.folder / "rocksdb-db_bench"
    common = ["--ioengine=rocksdb", f"--db={store}", f"--records={RECORDS}", "--value_size=1024",
              "--cache_size=64m", "--memory=256m", "--compression=none"]
    figures = {"fillrandom": ([], []), "readrandom, 1 thread": ([], []),
               "readrandom, 32 threads": ([], [])}
    for i in range(1, rounds + 1):
        shutil.rmtree(other, ignore_errors=True)
        figures["fillrandom"][0].append(iops(run, "agree-fill", [
            "fillrandom", "--fresh", f"--randseed={i}"] + common, "write"))
        figures["fillrandom"][1].append(db_bench(other, i, "fillrandom,waitforcompaction"))
        for threads in (1, 32):
            name = f"readrandom, {threads} thread{'s' if threads > 1 else ''}"
            figures[name][0].append(iops(run, f"agree-read-{threads}", [
                "readrandom", "--keys=all", f"--iodepth={threads}", f"--runtime={SECONDS}",
                "--time_based", f"--randseed={i}"] + common, "read"))
            # With the seed of the fill db_bench would read what it wrote, and find all of it.
            figures[name][1].append(db_bench(other, 1000 + i, "readrandom", threads))
    shutil.rmtree(other, ignore_errors=True)
    return [compare(f"RocksDB and db_bench, {name}", *pair) for name, pair in figures.items()]
