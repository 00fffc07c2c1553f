"""page.py - the report as one HTML page: plots, then all tables. It needs nothing from anywhere."""
import html

from suite_parts import plots, tables, targets

STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, sans-serif; color: #1c1c1c; background: #fff; margin: 0 auto;
       max-width: 1080px; padding: 24px; }
h1 { font-size: 26px; margin: 0 0 4px; } h2 { font-size: 19px; margin: 40px 0 4px; }
h3 { font-size: 16px; margin: 24px 0 4px; }
p, li { max-width: 760px; } .small { color: #555; font-size: 13px; }
table { border-collapse: collapse; font-size: 13px; margin: 8px 0; display: block; overflow-x: auto; }
td, th { padding: 3px 9px; border-bottom: 1px solid #ddd; text-align: right; white-space: nowrap; }
td:first-child, th:first-child, .words td, .words th { text-align: left; } .words td { white-space: normal; }
th { border-bottom: 2px solid #999; } code { font-size: 12px; overflow-wrap: anywhere; }
svg { width: 100%; max-width: 820px; height: auto; margin: 4px 0; }
svg text { font: 12px system-ui, sans-serif; fill: #333; } svg .name { font-weight: 600; }
svg .grid { stroke: #e4e4e4; stroke-width: 1; }
.no { color: #b00020; font-weight: 600; } .yes { color: #00703c; font-weight: 600; }
nav a { margin-right: 14px; }
"""


def clean(text):
    return html.escape(text).replace("**no**", '<span class="no">no</span>')


def from_markdown(table, kind=""):
    rows = [[c.strip() for c in line.strip("| ").split("|")] for line in table.splitlines()
            if not line.startswith("|---")]
    head = "".join(f"<th>{clean(c)}</th>" for c in rows[0])
    body = "".join("<tr>" + "".join(f"<td>{clean(c)}</td>" for c in r) + "</tr>" for r in rows[1:])
    return f'<table class="{kind}"><tr>{head}</tr>{body}</table>'


# ---- Plots ----

def throughput(found):
    steps = sorted((found.steps[s] for s in targets.gets(found)), key=lambda s: s.depth)
    series = {}
    for engine in found.engines:
        points = [(s.depth, found.median(s.name, engine),
                   f"{engine}, {s.depth} in flight: {tables.rate(found, s.name, engine)} gets/s")
                  for s in steps if found.median(s.name, engine)]
        series[engine] = points
    values = [p[1] for points in series.values() for p in points]
    if not values:
        return ""
    return plots.lines(series, plots.Choices([s.depth for s in steps]),
                       plots.Log(min(values) * 0.8, max(values) * 1.2), str, plots.short,
                       "operations in flight (coroutines, threads, requests)", "gets a second")


def latency_cdf(found, step, side="read"):
    series, low, high = {}, 1e18, 0
    for engine in found.engines:
        jobs = found.last_jobs(step, engine)
        points = jobs[0]["gyre_bench"]["latency_cdf"].get(side, []) if jobs else []
        if points:
            low, high = min(low, points[0][0]), max(high, points[-1][0])
            series[engine] = [(us, share, "") for us, share in points]
    if not series:
        return ""
    return plots.lines(series, plots.Log(max(low, 0.05), high), plots.Nines(), plots.microseconds,
                       lambda share: f"{100 * share:g} %", "latency",
                       "share of operations that took no longer", markers=False, steps=True)


def over_time(found, step, job, side, figure, title):
    """One line for each engine: a figure of each interval of the last round."""
    series, longest, values = {}, 0, []
    for engine in found.engines:
        jobs = found.last_jobs(step, engine)
        if not jobs or len(jobs) <= job:
            continue
        points = [(t["seconds"], t[figure], f"{engine} at {t['seconds']:.2f} s: "
                   f"{plots.microseconds(t[figure])}, {t['stalled_ops']} stalled")
                  for t in jobs[job]["gyre_bench"]["series"]
                  if t["class"] == side and t["ops"] > 0 and t[figure] > 0]
        if points:
            series[engine] = points
            longest = max(longest, points[-1][0])
            values += [p[1] for p in points]
    if not values:
        return ""
    return plots.lines(series, plots.Linear(0, longest), plots.Log(min(values), max(values) * 1.2),
                       lambda s: f"{s:g}", plots.microseconds, "seconds", title,
                       markers=longest < 30)


def per_step(found, name, steps):
    return [(found.steps[s].title, {e: found.median(s, e, name) for e in found.engines})
            for s in steps if s in found.steps]


def shown(found):
    return [s.name for s in found.plan.steps if s.is_shown]


# ---- The page ----

def section(title, text, *figures):
    body = "".join(f for f in figures if f)
    return f"<h2>{title}</h2><p>{text}</p>{body}" if body else ""


def charts(found):
    top = "get-128" if "get-128" in found.steps else "get-64"
    return "".join([
        section("Throughput against operations in flight",
                "Random gets of keys that are there, from a store many times the cache. Gyre has one "
                "thread at every point; a peer has as many threads as operations. The device itself "
                "is dashed. LevelDB and LMDB read through the page cache of the machine, which no "
                "limit here touches: their lines say what memory gives.", throughput(found)),
        section("Latency of gets, 16 in flight",
                "The further up, the rarer: 99.9 % is one operation in a thousand.",
                latency_cdf(found, "get-16")),
        section("A service: gets and puts at a fixed rate",
                "An open loop. Latency counts from when an operation should have begun, so a stall is "
                "in every operation that came meanwhile. Above the distribution, below p99 and the "
                "worst get of each quarter of a second.",
                latency_cdf(found, "service"),
                over_time(found, "service", 0, "read", "p99_us", "p99 of gets"),
                over_time(found, "service", 0, "read", "max_us", "worst get")),
        section("The worst put of each quarter second while a store is filled",
                "Stalls are what stands out.",
                over_time(found, "fill", 0, "write", "max_us", "worst put")),
        section("Processor time for each operation",
                "All threads of the process, compaction and kernel workers included; logarithmic. The "
                "dashed line is what the bare request costs.",
                plots.bars(per_step(found, "cpu", shown(found)), "us of CPU for each operation",
                           lambda v: f"{v:.2f}", log=True)),
        section("Amplification",
                "Of the fill, settled: bytes written for each byte put, and blocks of the store's "
                "files for each byte that is live; of random gets, bytes read for each byte got.",
                plots.bars([("write, fill", {e: found.median("fill", e, "write_amp")
                                             for e in found.engines}),
                            ("space, fill", {e: found.median("fill", e, "space_amp")
                                             for e in found.engines}),
                            ("read, gets", {e: found.median(top, e, "read_amp")
                                            for e in found.engines})],
                           "times", lambda v: f"{v:.2f}")),
        section("Peak memory", "Resident, of the process. What the page cache holds is not in it.",
                plots.bars(per_step(found, "rss", ["fill", top]), "MiB", lambda v: f"{v:,.0f}")),
    ])


def details(found):
    parts = ["<h2>All figures</h2>"]
    for step in found.plan.steps:
        if step.is_shown:
            parts.append(f"<h3>{html.escape(step.title)}</h3><p class='small'>"
                         f"{html.escape(tables.state(found, step))}</p>"
                         + from_markdown(tables.step_table(found, step)))
    parts.append("<h2>Configurations</h2><ul>")
    for line in tables.configurations(found).splitlines():
        name, _, text = line[4:].partition("**: `")
        parts.append(f"<li><b>{name}</b> <code>{html.escape(text.rstrip('`'))}</code></li>")
    parts.append("</ul>")
    if found.failures():
        parts.append("<h2>Failed</h2><ul>" + "".join(
            f"<li>{html.escape(f'{e.step}, {e.engine}, round {e.round + 1}: {e.failure}')}</li>"
            for e in found.failures()) + "</ul>")
    return "".join(parts)


def about_table(about):
    return from_markdown("\n".join(tables.row([k, v]) for k, v in about.items()), "words")


def html_page(title, body):
    return (f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
            f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head>'
            f"<body>{body}</body></html>\n")


def html_report(found, about):
    title = f"gyre-bench, suite {about['suite']}, {about['date']}"
    head = (f"<h1>{html.escape(title)}</h1><p>One run of one driver: every step ran for each engine "
            f"before the next step, {found.plan.rounds} times over. Figures are medians over the "
            "rounds; ratios are medians of the ratio within a round.</p>" + about_table(about))
    goals = ("<h2>Beside the targets</h2><p>What one thread of Gyre is to reach, and what was "
             "measured here.</p>" + from_markdown(tables.target_table(found), "words"))
    return html_page(html.escape(title), head + goals + charts(found) + details(found))
