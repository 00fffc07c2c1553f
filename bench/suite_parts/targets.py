"""targets.py - what one thread of Gyre is to reach, each beside what was measured: the rows of the
project's own targets, against RocksDB's best number of threads and against the device."""


def gets(found):
    return [s for s in found.steps if s.startswith("get-") and s[4:].isdigit()]


def against(found, step, other, name="rate"):
    return found.ratio(step, "gyre", other, name)


def times(value):
    return "-" if value is None else f"{value:.2f}x"


def best_ratio(found, step):
    """Gyre at one depth to RocksDB's best of all depths."""
    mine, theirs = found.median(step, "gyre"), found.best(gets(found), "rocksdb")
    return mine / theirs if mine and theirs else None


def verdict(value, least=None, most=None):
    if value is None:
        return "-"
    good = (least is None or value >= least) and (most is None or value <= most)
    return "yes" if good else "**no**"


def both(pairs):
    """Several conditions in one cell: (text, value, least, most)."""
    text = "; ".join(f"{t} {times(v)}" for t, v, _, _ in pairs)
    known = [p for p in pairs if p[1] is not None]
    good = known and all(verdict(v, lo, hi) == "yes" for _, v, lo, hi in known)
    return text, "-" if not known else "yes" if good else "**no**"


def rows(found):
    out = []

    def add(workload, target, pairs):
        text, met = both(pairs)
        out.append([workload, target, text, met])

    for depth in (64, 128):
        step = f"get-{depth}"
        if step not in found.steps:
            continue
        cpu = against(found, step, "rocksdb", "cpu")
        add(f"random get, {depth} in flight", "0.95x raw; 1.2x RocksDB's best; 1/3 of its CPU",
            [("raw", against(found, step, "raw"), 0.95, None),
             ("RocksDB's best", best_ratio(found, step), 1.2, None),
             ("CPU", cpu, None, 1 / 3)])
    add("random get, one caller", "RocksDB's latency or better",
        [("p50", against(found, "get-1", "rocksdb", "p50"), None, 1.0)])
    for batch, least in ((32, 3.5), (128, 5.0)):
        step = f"multiget-{batch}"
        rocks, raw = against(found, step, "rocksdb"), against(found, step, "raw")
        met = verdict(rocks, least) if verdict(raw, 0.85) != "yes" else "yes"
        out.append([f"multi_get {batch}, one caller", f"{least}x RocksDB's, or 0.85x a bare burst",
                    f"RocksDB {times(rocks)}; raw {times(raw)}", met])
    lookups = found.median("absent", "gyre", "bytes_per_lookup")
    reads = None if lookups is None else lookups / 4096
    out.append(["absent keys", "0.02 device reads each when settled",
                "-" if reads is None else f"{reads:.3f} x 4 KiB", verdict(reads, None, 0.02)])
    if "cached-1" in found.steps:
        add("cached get, 1 M x 100 B, one caller", "2x RocksDB",
            [("RocksDB", against(found, "cached-1", "rocksdb"), 2.0, None)])
        rate = found.median("cached-16", "gyre")
        out.append(["cached get, 16 in flight", "1,000,000/s",
                    "-" if rate is None else f"{rate:,.0f}/s", verdict(rate, 1e6)])
    settled = against(found, "fill", "rocksdb", "settled")
    worst = found.spread("fill", "gyre", "max")
    worst = None if worst is None else worst[1] / 1e3
    out.append([f"fillrandom 1 KiB BUFFERED, {found.plan.records:,}, settled",
                "1.5x over 1 M, 2x over 4 M; worst put under 50 ms",
                f"RocksDB {times(settled)}; worst put {'-' if worst is None else f'{worst:.0f} ms'}",
                "yes" if verdict(settled, 1.5) == verdict(worst, None, 50) == "yes"
                else "-" if settled is None else "**no**"])
    add("DURABLE puts, 1 writer", "within 1.15x of a raw DSYNC write",
        [("raw p50", against(found, "durable-1", "raw", "p50"), None, 1.15)])
    for depth, least in ((64, 10), (256, 15)):
        if f"durable-{depth}" in found.steps:
            add(f"DURABLE puts, {depth} writers", f"{least}x one writer of RocksDB's",
                [("RocksDB", against(found, f"durable-{depth}", "rocksdb"), None, None),
                 ("one writer of RocksDB's", divide(found.median(f"durable-{depth}", "gyre"),
                                                    found.median("durable-1", "rocksdb")),
                  least, None)])
    add("sequential scan", "0.75x raw in user bytes; 3x RocksDB",
        [("raw", against(found, "scan", "raw"), 0.75, None),
         ("RocksDB", against(found, "scan", "rocksdb"), 3.0, None)])
    for step, callers in (("seek-1", 1), ("seek-16", 16)):
        add(f"seek + 50 nexts, {callers} callers", "3x RocksDB's default",
            [("RocksDB", against(found, step, "rocksdb"), 3.0, None)])
    add("gets at depth 16 beside 20 MB/s of puts", "p99.9 0.3x RocksDB's; 1.5x or 0.85x raw",
        [("p99.9", against(found, "get-while-writing", "rocksdb", "p99.9"), None, 0.3),
         ("RocksDB", against(found, "get-while-writing", "rocksdb"), 1.5, None)])
    runs = [found.spread(s, "gyre", "run_us") for s in found.steps]
    longest = max((r[1] for r in runs if r), default=None)
    out.append(["longest run of the thread", "under 500 us",
                "-" if longest is None else f"{longest:.0f} us", verdict(longest, None, 500)])
    return out


def divide(a, b):
    return a / b if a and b else None
