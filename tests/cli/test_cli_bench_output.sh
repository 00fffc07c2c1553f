#!/usr/bin/env bash
# gyre-bench: its JSON is fio's (compared with fio itself where that is installed), its logs are
# fio's and HdrHistogram's, and all of them agree with one another.
. "$(dirname "$0")/bench_lib.sh"
exits 0 "$bench" fillrandom --db=s --records=20000 --value_size=200
exits 0 "$bench" --output-format=json --output=ours.json --name=mix --rw=randrw --rwmixread=70 \
    --db=s --iodepth=4 --runtime=1500ms --time_based --log_interval=500ms --write_lat_log=log \
    --write_iops_log=log --write_hdr_log=log --write_csv=log
[ ! -s out ] || fail "output= left something on standard output"
if command -v fio >/dev/null; then
    fio --output-format=json --output=theirs.json --name=mix --rw=randrw --ioengine=psync \
        --size=1m --runtime=1 >/dev/null 2>err || : >theirs.json
fi
python3 - <<'END' || fail "see above"
import base64, glob, json, math, os, struct, sys, zlib

def need(what, message):
    if not what:
        sys.exit(message)

def kinds(x):
    return "number" if isinstance(x, (int, float)) and not isinstance(x, bool) else type(x).__name__

def compare(theirs, ours, path=""):
    """Every field that fio has is there, with the same kind of value."""
    need(kinds(theirs) == kinds(ours), f"{path}: {kinds(ours)}, fio has {kinds(theirs)}")
    if isinstance(theirs, dict):
        for key in theirs:
            if path.endswith(("options", "percentile")) and key not in ours:
                continue
            need(key in ours, f"{path}.{key} is missing")
            compare(theirs[key], ours[key], f"{path}.{key}")
    elif isinstance(theirs, list) and theirs and ours:
        compare(theirs[0], ours[0], path + "[0]")

ours = json.load(open("ours.json"))
if os.path.exists("theirs.json") and os.path.getsize("theirs.json"):
    theirs = json.load(open("theirs.json"))
    compare(theirs, ours)
    percentiles = theirs["jobs"][0]["read"]["clat_ns"]["percentile"]
    need(list(percentiles) == list(ours["jobs"][0]["read"]["clat_ns"]["percentile"]),
         "other percentiles than fio's")
    order = lambda job: [k for k in job if k in theirs["jobs"][0]]
    need(order(ours["jobs"][0]) == list(theirs["jobs"][0]), "another order of fields than fio's")
else:
    print("note: no fio here, its own JSON was not compared")

# Units: bytes, KiB, ms, ns, as fio has them.
job = ours["jobs"][0]
for name in ("read", "write"):
    part = job[name]
    need(part["io_kbytes"] == part["io_bytes"] // 1024, "io_kbytes")
    need(abs(part["bw"] - part["bw_bytes"] / 1024) <= 1, "bw")
    need(abs(part["total_ios"] / part["runtime"] * 1000 / part["iops"] - 1) < 0.01, "iops")
    need(1400 <= part["runtime"] < 10000, f"runtime is {part['runtime']} ms")
    lat = part["clat_ns"]
    values = list(lat["percentile"].values())
    need(values == sorted(values) and lat["min"] <= values[0] and values[-1] <= lat["max"], "clat")
    need(lat["N"] == part["total_ios"] and lat["min"] <= lat["mean"] <= lat["max"], "clat mean")
need(abs(job["read"]["total_ios"] / (job["read"]["total_ios"] + job["write"]["total_ios"]) - 0.7)
     < 0.02, "rwmixread")
shares = [v for g in ("latency_ns", "latency_us", "latency_ms") for v in job[g].values()]
need(abs(sum(shares) - 100) < 0.1, f"shares add up to {sum(shares)}")

# The series adds up to the whole.
series = job["gyre_bench"]["series"]
for name in ("read", "write"):
    need(sum(t["ops"] for t in series if t["class"] == name) == job[name]["total_ios"], "series")
cdf = job["gyre_bench"]["latency_cdf"]["read"]
need(cdf[-1][1] == 1 and cdf == sorted(cdf), "cdf")

# HdrHistogram V2, decoded from its description.
def zigzag(data):
    at, out = 0, []
    while at < len(data):
        value, shift = 0, 0
        while True:
            byte = data[at]
            at += 1
            if shift == 56:
                value |= byte << 56
                break
            value |= (byte & 0x7f) << shift
            shift += 7
            if byte < 0x80:
                break
        out.append(value >> 1 ^ -(value & 1))
    return out

def value_of(index):
    """Lowest value of a bucket with 256 sub-buckets, unit 1."""
    if index < 256:
        return index
    bucket = (index >> 7) - 1
    return ((index & 127) + 128) << bucket

def decode(text):
    raw = base64.b64decode(text)
    cookie, size = struct.unpack(">II", raw[:8])
    need(cookie == 0x1c849314 and size == len(raw) - 8, "the compressed head")
    plain = zlib.decompress(raw[8:])
    cookie, size, offset, digits, low, high, ratio = struct.unpack(">IIIIQQd", plain[:40])
    need((cookie, offset, digits, low, ratio) == (0x1c849313, 0, 2, 1, 1.0), "the head")
    need(size == len(plain) - 40, "the payload's size")
    counts, index = {}, 0
    for n in zigzag(plain[40:]):
        if n < 0:
            index -= n
        else:
            counts[index] = n
            index += 1
    return counts

for name in ("read", "write"):
    total, last = {}, 0.0
    lines = open(f"log_{name}.1.hlog").read().splitlines()
    need(any(l.startswith("#[Histogram log format version 1.3]") for l in lines), "no version")
    need(any(l.startswith('"StartTimestamp","Interval_Length","Interval_Max","Int') for l in lines),
         "no legend")
    rows = [l.split(",") for l in lines if l[0].isdigit()]
    need(len(rows) >= 3, "three intervals of 500 ms in 1.5 s")
    for start, length, greatest, text in rows:
        need(abs(float(start) - last) < 0.01, "intervals follow one another")
        last = float(start) + float(length)
        counts = decode(text)
        for index, n in counts.items():
            total[index] = total.get(index, 0) + n
        if counts:
            top = value_of(max(counts))
            need(abs(float(greatest) * 1e6 - top) <= 0.01 * top + 2000, "Interval_Max in ms")
    lat = job[name]["clat_ns"]
    need(sum(total.values()) == lat["N"], "all operations are in the log")
    rank, seen = math.ceil(0.99 * lat["N"]), 0
    for index in sorted(total):
        seen += total[index]
        if seen >= rank:
            break
    need(abs(value_of(index) - lat["percentile"]["99.000000"]) <= 0.01 * value_of(index) + 1, "p99")

# fio's logs: msec, value, direction, size, offset, priority.
rows = [[int(x) for x in l.split(",")] for l in open("log_lat.1.log")]
need(all(len(r) == 6 for r in rows) and {r[2] for r in rows} == {0, 1}, "lat log")
need([r[0] for r in rows] == sorted(r[0] for r in rows) and rows[0][0] >= 500, "msec")
rows = [l.rstrip().split(",") for l in open("log.1.csv")]
need(rows[0][0] == "seconds" and all(len(r) == len(rows[0]) for r in rows), "csv")
need(len(rows) - 1 == len(series), "csv and series")
END

# A live line, and figures on the way.
exits 0 "$bench" readrandom --ioengine=null --rate_iops=100 --time_based --runtime=1500ms \
    --eta=always --status-interval=500ms
says 'operations, '
says 'status at'
exits 2 "$bench" readrandom --ioengine=null --output=no/such/folder
says 'no/such/folder'
exits 1 "$bench" readrandom --ioengine=null --ops=10 --write_csv=no/such
says 'cannot write the log'
