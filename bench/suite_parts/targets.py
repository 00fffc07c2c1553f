"""targets.py - what one thread of Gyre is to reach: each of the project's own targets beside what was
measured of Gyre, of its peers and of the device."""
from suite_parts.plan import READAHEAD


def gets(found):
    return [s for s in found.steps if s.startswith("get-") and s[4:].isdigit()]


def divide(a, b):
    return a / b if a and b else None


class Table:
    """A row for each target: what was measured of each engine, the ratios asked for, and whether
    all of them are reached."""

    def __init__(self, found):
        self.found = found
        self.rows = []

    def figure(self, step, engine, name="rate", form="{:,.0f}"):
        value = self.found.median(step, engine, name) if step in self.found.steps else None
        return "-" if value is None else form.format(value)

    def ratio(self, step, other, name="rate"):
        if step not in self.found.steps:
            return None
        return self.found.ratio(step, "gyre", other, name)

    def add(self, workload, target, step, conditions, name="rate", form="{:,.0f}", either=()):
        """conditions: (text, value, form, least, most), all of them needed; either: one of them is
        enough; form: how an engine's own figure is printed."""
        if step not in self.found.steps:
            return
        cells = [self.figure(step, e, name, form) for e in self.found.engines]
        measured = "; ".join(f"{text} {'-' if value is None else how.format(value)}"
                             for text, value, how, _, _ in [*conditions, *either])
        verdicts = [self.holds(c) for c in conditions]
        if either:
            some = [self.holds(c) for c in either]
            verdicts.append(True if True in some else None if None in some else False)
        met = False if False in verdicts else None if None in verdicts else True
        self.rows.append([workload, target, *cells, measured,
                          "-" if met is None else "yes" if met else "**no**"])

    @staticmethod
    def holds(condition):
        _, value, _, least, most = condition
        if value is None:
            return None
        return (least is None or value >= least) and (most is None or value <= most)


TIMES = "{:.2f}x"


def reading(table):
    found = table.found
    best = found.best(gets(found), "rocksdb")
    for depth in (64, 128):
        step = f"get-{depth}"
        mine = found.median(step, "gyre") if step in found.steps else None
        table.add(f"random get, {depth} in flight, gets/s",
                  "0.95x of the device; 1.2x RocksDB's best number of threads, at 1/3 of its CPU", step,
                  [("device", table.ratio(step, "raw"), TIMES, 0.95, None),
                   (f"RocksDB's best ({best or 0:,.0f})", divide(mine, best), TIMES, 1.2, None),
                   ("CPU", table.ratio(step, "rocksdb", "cpu"), TIMES, None, 1 / 3)])
    table.add("random get, one caller, p50 us", "RocksDB's latency or better", "get-1",
              [("RocksDB", table.ratio("get-1", "rocksdb", "p50"), TIMES, None, 1.0)],
              "p50", "{:,.1f}")
    for batch, least in ((32, 3.5), (128, 5.0)):
        step = f"multiget-{batch}"
        table.add(f"multi_get of {batch}, one caller, keys/s",
                  f"{least}x RocksDB's MultiGet, or 0.85x of a bare burst", step, [],
                  either=[("RocksDB", table.ratio(step, "rocksdb"), TIMES, least, None),
                          ("device", table.ratio(step, "raw"), TIMES, 0.85, None)])
    for step, state, most in (("absent", "settled", 0.02), ("absent-busy", "while writing", 0.05)):
        reads = found.median(step, "gyre", "block_reads") if step in found.steps else None
        table.add(f"absent keys, {state}, gets/s", f"{most} device reads each", step,
                  [("reads each", reads, "{:.3f}", None, most)])
    table.add("cached get, 1 M x 100 B, one caller, gets/s", "2x RocksDB", "cached-1",
              [("RocksDB", table.ratio("cached-1", "rocksdb"), TIMES, 2.0, None)])
    if "cached-16" in found.steps:
        table.add("cached get, 16 in flight, gets/s", "1,000,000/s", "cached-16",
                  [("Gyre", found.median("cached-16", "gyre"), "{:,.0f}/s", 1e6, None)])


def writing(table):
    found = table.found
    for step, least, of in (("fill-1m", 1.5, "1 M"), ("fill", 2.0, "4 M")):
        if step not in found.steps:
            continue
        records = found.last_jobs(step, "gyre")
        records = records[0]["gyre_bench"]["records"] if records else 0
        worst = found.spread(step, "gyre", "max")
        table.add(f"random puts of 1 KiB, BUFFERED, {records:,} of them, puts/s until settled",
                  f"{least}x RocksDB over {of}; worst put under 50 ms", step,
                  [("RocksDB", table.ratio(step, "rocksdb", "settled"), TIMES, least, None),
                   ("worst put", worst and worst[1] / 1e3, "{:.0f} ms", None, 50)], "settled")
    table.add("DURABLE puts, 1 writer, p50 us", "1.15x of a raw DSYNC write", "durable-1",
              [("device", table.ratio("durable-1", "raw", "p50"), TIMES, None, 1.15)],
              "p50", "{:,.0f}")
    for depth, least in ((64, 10), (256, 15)):
        step = f"durable-{depth}"
        mine = found.median(step, "gyre") if step in found.steps else None
        times = ("one writer of RocksDB's", divide(mine, found.median("durable-1", "rocksdb")), TIMES,
                 least, None)
        rate = [("Gyre", mine, "{:,.0f}/s", 200_000, None)] if depth == 256 else []
        table.add(f"DURABLE puts, {depth} writers, puts/s",
                  f"{least}x one writer of RocksDB's" + (", or 200,000/s" if rate else ""), step, [],
                  either=[times, *rate])
    if "durable-busy" in found.steps:
        pairs = zip(found.values("durable-busy", "gyre", "p99"),
                    found.values("durable-1", "gyre", "p99"))
        worst = sorted(busy / idle for busy, idle in pairs)
        table.add("DURABLE puts while compaction runs, 1 writer, p99 us", "2x of the p99 without",
                  "durable-busy",
                  [("without", worst[len(worst) // 2] if worst else None, TIMES, None, 2.0)],
                  "p99", "{:,.0f}")


def walking(table):
    found = table.found
    table.add("sequential scan, rows/s", "0.75x of the device in user bytes; 3x RocksDB", "scan",
              [("device", table.ratio("scan", "raw"), TIMES, 0.75, None),
               ("RocksDB", table.ratio("scan", "rocksdb"), TIMES, 3.0, None)])
    for callers, name in ((1, "one caller"), (16, "16 callers")):
        step = f"seek-{callers}"
        ahead = found.best([f"{step}-{a}" for a in READAHEAD], "rocksdb")
        mine = found.median(step, "gyre") if step in found.steps else None
        table.add(f"seek + 50 nexts, {name}, seeks/s",
                  "3x RocksDB's default, 1.3x RocksDB with its best readahead", step,
                  [("RocksDB", table.ratio(step, "rocksdb"), TIMES, 3.0, None),
                   (f"with readahead ({ahead or 0:,.0f})", divide(mine, ahead), TIMES, 1.3, None)])
    step = "get-while-writing"
    table.add("gets, 16 in flight, beside 20 MB/s of puts (open loop), gets/s",
              "p99.9 0.3x RocksDB's; 1.5x RocksDB or 0.85x of the device", step,
              [("p99.9", table.ratio(step, "rocksdb", "p99.9"), TIMES, None, 0.3)],
              either=[("RocksDB", table.ratio(step, "rocksdb"), TIMES, 1.5, None),
                      ("device", table.ratio(step, "raw"), TIMES, 0.85, None)])


def opening(table):
    found = table.found
    if "recover" in found.steps:
        table.add("recovery after a crash, opening in ms", "600,000 records/s", "recover",
                  [("records/s", found.median("recover", "gyre", "recovered_per_s"), "{:,.0f}",
                    600_000, None)])
    if "open-big" in found.steps:
        table.add("opening 10 GB with 64 MiB of memory, ms", "50 ms", "open-big",
                  [("Gyre", found.median("open-big", "gyre"), "{:.0f} ms", None, 50)])


def thread(table):
    """Of all steps together: how long the thread ran without a turn for anybody else."""
    found = table.found
    longest, runs, over = 0.0, 0, 0
    for step in found.steps:
        longest = max([longest, *found.values(step, "gyre", "run_us")])
        runs += sum(found.values(step, "gyre", "runs"))
        over += sum(found.values(step, "gyre", "runs_over_100us"))
    share = 1 - over / runs if runs else None
    cells = [f"{longest:,.0f}" if e == "gyre" else "" for e in found.engines]
    met = share is not None and longest < 500 and share >= 0.9999
    table.rows.append(["longest run of the thread (CPU time), us", "under 500 us; 99.99 % under 100 us",
                       *cells, f"under 100 us {0 if share is None else share:.3%}",
                       "yes" if met else "**no**"])


def rows(found):
    """(heads, rows)"""
    table = Table(found)
    for part in (reading, writing, walking, opening, thread):
        part(table)
    names = ["device" if e == "raw" else e for e in found.engines]
    return ["workload", "target", *names, "ratios", "met"], table.rows
