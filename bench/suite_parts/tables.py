"""tables.py - Markdown tables of a report, and the table that a run ends with."""
from suite_parts import targets

COLUMNS = [  # title, figure, how it is printed
    ("p50 us", "p50", "{:,.1f}"), ("p99 us", "p99", "{:,.1f}"), ("p99.9 us", "p99.9", "{:,.0f}"),
    ("max us", "max", "{:,.0f}"), ("cpu us/op", "cpu", "{:.2f}"), ("peak MiB", "rss", "{:,.0f}"),
    ("dev read MB", "device_read_mb", "{:,.0f}"), ("dev write MB", "device_written_mb", "{:,.0f}"),
]


def cell(value, form="{:,.0f}"):
    return "-" if value is None else form.format(value)


def row(cells):
    return "| " + " | ".join(cells) + " |"


def rate(found, step, engine):
    value = found.median(step, engine)
    if value is None:
        return found.why_not(step, engine)
    low, high = found.spread(step, engine)
    return f"{value:,.0f} ({low:,.0f}..{high:,.0f})"


def step_table(found, step):
    unit = step.unit
    is_fill = step.name == "fill"
    head = ["engine", f"{unit}, median (least..most)", "x rocksdb", "x raw"]
    if is_fill:
        head += [f"settled {unit}", "debt MB", "write amp", "space amp"]
    head += [c[0] for c in COLUMNS] + ["stalled", "found"]
    lines = [row(head), "|" + "---|" * len(head)]
    for engine in found.asked(step.name):
        if (step.name, engine) not in found.figures:
            lines.append(row([engine, found.why_not(step.name, engine)] + [""] * (len(head) - 2)))
            continue

        def med(name, form):
            return cell(found.median(step.name, engine, name), form)

        cells = [engine, rate(found, step.name, engine),
                 cell(found.ratio(step.name, engine, "rocksdb"), "{:.2f}"),
                 cell(found.ratio(step.name, engine, "raw"), "{:.2f}")]
        if is_fill:
            cells += [med("settled", "{:,.0f}"), med("debt_mb", "{:,.0f}"),
                      med("write_amp", "{:.2f}"), med("space_amp", "{:.2f}")]
        cells += [med(name, form) for _, name, form in COLUMNS]
        cells += [med("stalled", "{:,.0f}"), med("found", "{:.1%}")]
        lines.append(row(cells))
    return "\n".join(lines)


def state(found, step):
    """How the store was, from the runs themselves."""
    for engine in found.engines:
        jobs = found.last_jobs(step.name, engine)
        if jobs:
            g = jobs[0]["gyre_bench"]
            return (f"{g['records']:,} keys, {g['keys_present']:,} present, values "
                    f"{g['value_size']}, store {g['store_state']}, {g['durability']}, "
                    f"{g['loop']} loop")
    return ""


def configurations(found):
    lines = []
    for engine in found.engines:
        for step in found.plan.steps:
            jobs = found.last_jobs(step.name, engine)
            if jobs:
                lines.append(f"- **{engine}**: `{jobs[0]['gyre_bench']['configuration'].strip()}`")
                break
    return "\n".join(lines)


def target_table(found):
    heads, rows = targets.rows(found)
    lines = [row(heads), "|" + "---|" * len(heads)]
    lines += [row(r) for r in rows]
    return "\n".join(lines)


def markdown(found, about):
    parts = [f"# gyre-bench suite `{about['suite']}`, {about['date']}", ""]
    parts += [row([k, v]) for k, v in about.items()][:1]
    parts += ["|---|---|"] + [row([k, v]) for k, v in about.items()][1:]
    parts += ["", "Medians over the rounds, least and most in brackets; ratios are medians of the "
              "ratio within a round. How it is measured and what it cannot say: "
              "docs/benchmarking.md.", "", "## Beside the targets", "", target_table(found), ""]
    for step in found.plan.steps:
        if step.is_shown:
            parts += [f"## {step.title}", "", state(found, step) +
                      (f"; {step.note}" if step.note else ""), "", step_table(found, step), ""]
    parts += ["## Configurations", "", configurations(found), ""]
    if found.failures():
        parts += ["## Failed", ""] + [f"- {e.step}, {e.engine}, round {e.round + 1}: {e.failure}"
                                      for e in found.failures()]
    return "\n".join(parts).rstrip("\n") + "\n"


def summary(found):
    """For the terminal: medians of throughput."""
    lines = [f"{'':56}" + "".join(f"{e:>18}" for e in found.engines)]
    for step in found.plan.steps:
        if step.is_shown:
            cells = "".join(
                f"{'' if not step.asks(e) else found.why_not(step.name, e) if found.median(step.name, e) is None else format(found.median(step.name, e), ',.0f'):>18}"
                for e in found.engines)
            lines.append(f"{step.title[:46] + ', ' + step.unit:56.56}" + cells)
    return "\n".join(lines)
