"""seed.py - the benchmark that the project set out from, its factors beside the claims."""
from suite_parts.runner import TREE

CLAIMS = (("write", 1.5), ("read", 2.0), ("space", 1.2))


def main(run, engines):
    import os
    status = 0
    for engine in engines:
        os.environ["STORE"] = str(run.folder / f"{engine}-seed")
        data, failure = run.bench_run(f"seed-{engine}", [
            str(TREE / "bench/jobs/seed.fio"), f"--ioengine={engine}", "--output-format=json"])
        if failure:
            print(f"suite: {engine}: {failure}")
            status = 1
            continue
        write, read = (job["gyre_bench"] for job in data["jobs"])
        measured = {"write": write["write_amplification"], "read": read["read_amplification"],
                    "space": write["space_amplification"]}
        counted = {"write": write["engine_write_amplification"],
                   "read": read["block_reads_per_lookup"],
                   "space": write["engine_space_amplification"]}
        rate = data["jobs"][0]["write"]["iops"], write["group_ops_per_sec_settled"]
        print(f"{engine}: {write['records']:,} entries of 1,024 bytes: {rate[0]:,.0f} puts/s, "
              f"{'-' if rate[1] is None else format(rate[1], ',.0f')} until settled, "
              f"{data['jobs'][1]['read']['iops']:,.0f} gets/s with 16 in flight")
        print(f"{'amplification':16}{'claimed':>10}{'measured':>10}{'by the engine':>16}")
        for name, claim in CLAIMS:
            own = counted[name]
            print(f"{name:16}{claim:>10.1f}{measured[name]:>10.2f}"
                  f"{'-' if own is None else format(own, '.2f'):>16}")
        print("measured: bytes of the process at the block layer for each byte of keys and values put, "
              "or got;\nblocks of the store's files for each live byte. By the engine: its counters; "
              "for reads, blocks\nread for each key.\n")
    run.remove_stores()
    return status
