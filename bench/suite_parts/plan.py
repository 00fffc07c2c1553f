"""plan.py - the steps of a suite: what is run, with which options, by whom."""
from dataclasses import dataclass, field

ENGINES = ["gyre", "rocksdb", "leveldb", "lmdb", "raw"]
RIVALS = ("gyre", "rocksdb")
READAHEAD = ("64k", "128k")  # for 50 rows of 1 KiB
# Where an engine keeps its store: forms of Gyre share one.
FAMILY = {"gyre-completion": "gyre", "gyre-blocking": "gyre"}


@dataclass
class Step:
    name: str
    title: str
    options: list
    store: str = "main"          # below DIR/FAMILY
    unit: str = "ops/s"
    side: str = "read"           # fio's section that has the figure
    writes: bool = False
    without: tuple = ()          # engines that cannot do it
    only: tuple = ()             # engines that are asked (all)
    rounds: int = 0              # in how many rounds (all)
    by_engine: dict = field(default_factory=dict)
    is_shown: bool = True        # False: it prepares the next ones
    depth: int = 1
    note: str = ""
    figure: str = "rate"         # of results.one: what the step is about

    def options_of(self, engine):
        return self.options + self.by_engine.get(engine, [])

    def asks(self, engine):
        return not self.only or engine in self.only


@dataclass
class Plan:
    name: str
    rounds: int
    records: int
    common: list
    steps: list


def reads(timed, depths):
    """Point reads of a settled store that is much larger than the cache."""
    steps = [Step(f"get-{d}", f"random get, {d} in flight", ["readrandom", f"--iodepth={d}"] + timed,
                  depth=d) for d in depths]
    for batch in (32, 128):
        steps.append(Step(f"multiget-{batch}", f"multi_get of {batch}, one caller",
                          ["multireadrandom", f"--batch={batch}"] + timed, unit="keys/s"))
    steps.append(Step("absent", "absent keys, 16 in flight",
                      ["readmissing", "--iodepth=16"] + timed, without=("raw",)))
    for callers, name in ((1, "one caller"), (16, "16 callers")):
        seek = ["seekrandom", f"--iodepth={callers}"] + timed
        steps.append(Step(f"seek-{callers}", f"seek and 50 nexts, {name}", seek, unit="seeks/s"))
        for ahead in READAHEAD:
            steps.append(Step(f"seek-{callers}-{ahead}",
                              f"seek and 50 nexts, {name}, readahead {ahead}",
                              seek + [f"--readahead={ahead}"], unit="seeks/s", only=("rocksdb",)))
    return steps


def durable(timed, depths):
    return [Step(f"durable-{d}", f"DURABLE puts of 1 KiB, {d} writers",
                 ["fillsync", "--fresh", f"--iodepth={d}", "--records=100000", "--settle=0"] + timed,
                 store=f"sync-{d}", unit="puts/s", side="write", writes=True, depth=d)
            for d in depths]


def busy(timed, records):
    """What compaction does to others: durable puts, and gets of keys that are not there."""
    return [
        Step("debt", "a store with compaction left to do",
             ["fillrandom", "--unique", "--fresh", "--settle=0", "--insertorder=hashed",
              f"--records={records // 4}"],
             store="debt", side="write", writes=True, only=RIVALS, is_shown=False),
        Step("durable-busy", "DURABLE puts of 1 KiB, 1 writer, while compaction runs",
             ["fillsync", "--existing", f"--records={records // 4}", "--settle=0"] + timed,
             store="debt", unit="puts/s", side="write", writes=True, only=RIVALS),
        Step("absent-busy", "absent keys, 16 in flight, beside 10 MB/s of puts",
             ["--name=absent", "--rw=readmissing", "--iodepth=16"] + timed +
             ["--name=puts", "--rw=overwrite", "--iodepth=16", "--rate_iops=9615"] + timed,
             without=("raw",)),
    ]


def large(records):
    """A fill of the size that a target names, and the opening of a store of 10 GB."""
    return [
        Step("fill-1m", "random puts of 1 KiB, BUFFERED, 1,000,000 of them",
             ["fillrandom", "--unique", "--fresh", "--insertorder=hashed", f"--records={records // 4}"],
             store="fill", unit="puts/s", side="write", writes=True, only=RIVALS),
        Step("big-fill", "a store of 10 GB",
             ["fillrandom", "--unique", "--fresh", "--insertorder=hashed", "--records=10000000"],
             store="big", side="write", writes=True, only=("gyre",), rounds=1, is_shown=False),
        Step("open-big", "opening a store of 10 GB with 64 MiB of memory",
             ["readrandom", "--ops=1", "--records=10000000", "--memory=64m", "--cache_size=16m"],
             store="big", figure="open_ms", unit="ms", only=("gyre",), note="less is better"),
    ]


def opening(records):
    """Of a store that was closed, and of one whose process ended with work undone."""
    few = [f"--records={min(records, 300_000)}", "--value_size=100"]
    once = ["readrandom", "--ops=1"]
    return [
        Step("open", "opening, after a close", once, figure="open_ms", unit="ms",
             note="less is better"),
        Step("crash", "a crash", ["fillrandom", "--unique", "--fresh", "--settle=0", "--crash"] + few,
             store="dead", side="write", writes=True, without=("raw",), is_shown=False),
        Step("recover", "opening, after a crash in the middle of puts of 100 B", once + few,
             store="dead", figure="open_ms", unit="ms", without=("raw",), writes=True,
             note="less is better"),
    ]


def mixed(timed, rate):
    quiet = ["--log_interval=250ms"]
    return [
        Step("get-while-writing", "gets, 16 in flight, beside 20 MB/s of puts (open loop)",
             ["readwhilewriting", "--iodepth=16", "--write_rate=19230"] + quiet + timed),
        Step("service", f"a service: {rate} gets a second (poisson) beside 10 MB/s of puts, all open loop",
             ["--name=gets", "--rw=readrandom", "--iodepth=64", f"--rate_iops={rate}",
              "--rate_process=poisson"] + quiet + timed +
             ["--name=puts", "--rw=overwrite", "--iodepth=64", "--rate_iops=9615"] + quiet + timed,
             note="latency counts from when an operation should have begun"),
    ]


SCALES = {
    "smoke": {"records": 5_000, "seconds": 0.1, "rounds": 1, "gets": (1, 16, 64), "durable": (1,),
              "memory": ("96m", "8m"), "rate": 500, "ycsb": "a"},
    "quick": {"records": 300_000, "seconds": 1.5, "rounds": 2, "gets": (1, 16, 64), "durable": (1, 64),
              "memory": ("96m", "8m"), "rate": 2000, "ycsb": "af"},
    "full": {"records": 4_000_000, "seconds": 4, "rounds": 3, "gets": (1, 4, 16, 64, 128),
             "durable": (1, 64, 256), "memory": ("300m", "100m"), "rate": 5000, "ycsb": "abcdef"},
}


def make(name, rounds, engines):
    scale = SCALES[name]
    records = scale["records"]
    timed = [f"--runtime={scale['seconds']}", "--time_based"]
    memory = ["--memory={}".format(scale["memory"][0]), "--cache_size={}".format(scale["memory"][1])]
    # Without compression: bytes at the device are the same for all, and raw is what they are held to.
    common = memory + [f"--records={records}", "--value_size=1024", "--compression=none",
                       "--output-format=json"]
    fill_raw = ["--iodepth=16", f"--ops={records // 4}"]
    steps = [
        Step("fill", "random puts of 1 KiB, BUFFERED, each key once",
             ["fillrandom", "--unique", "--fresh", "--insertorder=hashed", "--log_interval=250ms"],
             unit="puts/s", side="write", writes=True, by_engine={"raw": fill_raw}),
        Step("scan", "sequential scan, one caller", ["readseq"], unit="rows/s",
             by_engine={"raw": ["--iodepth=4"]}),
    ]
    steps += reads(timed, scale["gets"])
    steps += durable(timed, scale["durable"])
    steps += opening(records)
    if name == "full":
        steps += large(records)
        small = ["--records=1000000", "--value_size=100", "--memory=700m", "--cache_size=512m"]
        steps.append(Step("cached-fill", "cached store", ["fillseq", "--fresh"] + small,
                          store="small", side="write", without=("raw",), is_shown=False))
        for d in (1, 16):
            steps.append(Step(f"cached-{d}", f"cached get, 1 M x 100 B, {d} in flight",
                              ["readrandom", f"--iodepth={d}", "--ramp_time=4"] + small + timed,
                              store="small", without=("raw",)))
    steps += mixed(timed, scale["rate"]) + busy(timed, records)
    for letter in scale["ycsb"]:
        steps.append(Step(f"ycsb-{letter}", f"YCSB {letter.upper()}, 16 callers",
                          [f"ycsb-{letter}", "--iodepth=16"] + timed, without=("raw",),
                          side="all", writes=letter != "c"))
    steps = [s for s in steps if any(s.asks(e) and e not in s.without for e in engines)]
    return Plan(name, rounds or scale["rounds"], records, common, steps)
