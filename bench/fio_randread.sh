#!/usr/bin/env bash
# fio_randread.sh [--json] DIR SIZE [SECONDS] - what the device under DIR gives without a store:
# random 4 KiB reads, io_uring, 128 in flight, direct, on a file of SIZE (as for fio: 1200M, 10G).
#
# Prints IOPS, latency percentiles and CPU per read; or fio's own JSON. The file stays in DIR as
# fio_randread.data and is used again when its size is right: a fresh one lies in the host's cache
# on a virtual disk. Each run has a seed of its own: the same blocks again would be cached, too.
set -euo pipefail

json=''
[ "${1:-}" != --json ] || { json=1; shift; }
if [ $# -lt 2 ] || [ $# -gt 3 ]; then
    sed -n '2,3s/^# //p' "$0" >&2
    exit 2
fi
dir=$1 size=$2 seconds=${3:-10}

if ! command -v fio >/dev/null; then
    as_root=''
    [ "$(id -u)" = 0 ] || as_root=sudo
    echo 'fio_randread.sh: installing fio' >&2
    $as_root apt-get install -qq -y --no-install-recommends fio >/dev/null
fi

file=$dir/fio_randread.data
common=(--filename="$file" --size="$size" --direct=1 --ioengine=io_uring --output-format=json)
bytes=$(numfmt --from=iec "$size")
if [ ! -f "$file" ] || [ "$(stat -c %s "$file")" != "$bytes" ]; then
    rm -f "$file"
    fio --name=lay-out --rw=write --bs=1M --iodepth=4 --end_fsync=1 "${common[@]}" >/dev/null
    # Once through it, as one walks over a store before its reads are measured.
    fio --name=pass --rw=read --bs=1M --iodepth=4 "${common[@]}" >/dev/null
fi
result=$(fio --name=randread --rw=randread --bs=4k --iodepth=128 --time_based \
    --runtime="$seconds" --randseed="$(date +%s%N)" "${common[@]}")
if [ -n "$json" ]; then
    printf '%s\n' "$result"
    exit
fi
python3 - "$result" <<'END'
import json, sys
job = json.loads(sys.argv[1])["jobs"][0]
read = job["read"]
p = read["clat_ns"]["percentile"]
cpu = (job["usr_cpu"] + job["sys_cpu"]) / 100 * read["runtime"] * 1000 / read["total_ios"]
print(f"fio randread 4k x 128: {read['iops']:.0f} IOPS, us: p50 {p['50.000000']/1e3:.0f} "
      f"p99 {p['99.000000']/1e3:.0f} p99.9 {p['99.900000']/1e3:.0f}, cpu {cpu:.2f} us/read")
END
