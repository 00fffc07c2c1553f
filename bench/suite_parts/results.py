"""results.py - figures of the runs: medians and spreads over the rounds."""
import statistics


def per_second(engine):
    """Records that recovery read from logs, a second; None: there was nothing to recover."""
    records, us = engine.get("recovered_records"), engine.get("recovered_us")
    return records / us * 1e6 if records and us else None


def one(job, step):
    """The figures of one run. `job` is the first of its jobs."""
    g = job["gyre_bench"]
    sections = ("read", "write", "trim") if step.side == "all" else (step.side,)
    main = max((job[s] for s in sections), key=lambda part: part["total_ios"])
    lat = main["clat_ns"]
    percent = lat.get("percentile", {})
    figures = {
        "rate": sum(job[s]["iops"] for s in sections),
        "settled": g["group_ops_per_sec_settled"],
        "p50": percent.get("50.000000"), "p99": percent.get("99.000000"),
        "p99.9": percent.get("99.900000"), "p99.99": percent.get("99.990000"),
        "max": lat["max"] or None,
        "cpu": g["cpu_us_per_op"], "cpu_foreground": g["cpu_us_per_op_foreground"],
        "rss": g["peak_rss_bytes"] / 2**20,
        "write_amp": g["write_amplification"], "read_amp": g["read_amplification"],
        "space_amp": g["space_amplification"],
        "engine_write_amp": g["engine_write_amplification"],
        "engine_space_amp": g["engine_space_amplification"],
        "bytes_per_lookup": g["bytes_read_per_lookup"],
        "device_read_mb": g["proc_read_bytes"] / 1e6, "device_written_mb": g["proc_written_bytes"] / 1e6,
        "found": g["found_fraction"], "missed": g["missed_arrivals"],
        "debt_mb": None if g["compaction_debt"] is None else g["compaction_debt"] / 1e6,
        "settle_s": g["settle_seconds"], "run_us": g["longest_run_us"], "open_ms": g["open_ms"],
        "wrong": g["wrong_values"],
        "block_reads": g["block_reads_per_lookup"],
        "runs": g["engine"].get("runs"), "runs_over_100us": g["engine"].get("runs_over_100us"),
        "recovered_per_s": per_second(g["engine"]),
        "stalled": sum(tick["stalled_ops"] for tick in g["series"]),
    }
    for name in ("p50", "p99", "p99.9", "p99.99", "max"):
        if figures[name] is not None:
            figures[name] /= 1e3
    if step.figure != "rate":
        figures["rate"] = figures[step.figure]
    return figures


class Results:
    def __init__(self, plan, engines, outcomes):
        self.plan, self.engines = plan, engines
        self.steps = {step.name: step for step in plan.steps}
        self.figures, self.jobs, self.errors = {}, {}, []
        for o in outcomes:
            if o.failure:
                self.errors.append(o)
                continue
            key = (o.step, o.engine)
            self.jobs.setdefault(key, []).append(o.data["jobs"])
            self.figures.setdefault(key, []).append(one(o.data["jobs"][0], self.steps[o.step]))

    def asked(self, step):
        return [e for e in self.engines if self.steps[step].asks(e)]

    def failures(self):
        return self.errors

    def values(self, step, engine, name):
        return [f[name] for f in self.figures.get((step, engine), []) if f[name] is not None]

    def median(self, step, engine, name="rate"):
        values = self.values(step, engine, name)
        return statistics.median(values) if values else None

    def spread(self, step, engine, name="rate"):
        values = self.values(step, engine, name)
        return (min(values), max(values)) if values else None

    def ratio(self, step, engine, other, name="rate"):
        """Median over the rounds of the ratio within a round: what hits both falls out."""
        mine, theirs = self.values(step, engine, name), self.values(step, other, name)
        pairs = [a / b for a, b in zip(mine, theirs) if b]
        return statistics.median(pairs) if pairs else None

    def best(self, steps, engine, name="rate"):
        values = [self.median(s, engine, name) for s in steps if s in self.steps]
        return max((v for v in values if v is not None), default=None)

    def last_jobs(self, step, engine):
        runs = self.jobs.get((step, engine))
        return runs[-1] if runs else None

    def why_not(self, step, engine):
        """Of a cell that is empty."""
        if engine in self.steps[step].without:
            return "cannot"
        return "failed" if any((e.step, e.engine) == (step, engine) for e in self.errors) else "-"
