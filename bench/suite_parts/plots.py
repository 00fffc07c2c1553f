"""plots.py - charts as inline SVG. Three kinds: lines over a scale, bars in groups, and small helpers
for ticks. Colours are Okabe and Ito's, which colour-blind readers tell apart; the device is dashed."""
import html
import math

COLORS = {"gyre": "#0072b2", "gyre-completion": "#56b4e9", "rocksdb": "#d55e00",
          "leveldb": "#009e73", "lmdb": "#cc79a7", "raw": "#555555"}
WIDTH, HEIGHT = 760, 380
LEFT, RIGHT, TOP, BOTTOM = 92, 132, 18, 52


def color(engine):
    return COLORS.get(engine, "#999900")


def dash(engine):
    return ' stroke-dasharray="7 4"' if engine == "raw" else ""


def short(value):
    for limit, divisor, unit in ((1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e3, 1e3, "k")):
        if abs(value) >= limit:
            return f"{value / divisor:.3g}{unit}"
    return f"{value:.3g}"


def microseconds(value):
    for limit, unit in ((1e6, "s"), (1e3, "ms")):
        if value >= limit:
            return f"{value / limit:.3g} {unit}"
    return f"{value:.3g} us"


class Linear:
    def __init__(self, low, high):
        self.low, self.high = low, high if high > low else low + 1

    def place(self, value):
        return (value - self.low) / (self.high - self.low)

    def ticks(self):
        step = 10 ** math.floor(math.log10(self.high - self.low))
        while (self.high - self.low) / step < 4:
            step /= 2
        first = math.ceil(self.low / step)
        return [i * step for i in range(first, math.floor(self.high / step + 1e-9) + 1)]


class Log:
    def __init__(self, low, high):
        self.low, self.high = math.log10(low), math.log10(max(high, low * 1.01))

    def place(self, value):
        return (math.log10(max(value, 1e-9)) - self.low) / (self.high - self.low)

    def ticks(self):
        decades = range(math.floor(self.low), math.ceil(self.high) + 1)
        marks = (1, 2, 5) if self.high - self.low < 2.2 else (1,)
        values = [m * 10.0 ** d for d in decades for m in marks]
        return [v for v in values if self.low - 1e-9 <= math.log10(v) <= self.high + 1e-9]


class Choices:
    """A few values, evenly spaced: numbers of callers."""

    def __init__(self, values):
        self.values = values

    def place(self, value):
        return (self.values.index(value) + 0.25) / (len(self.values) - 0.5)

    def ticks(self):
        return self.values


class Nines:
    """Shares near one: 0, 90 %, 99 %, 99.9 % are evenly spaced."""
    most = 5

    def place(self, share):
        return min(-math.log10(max(1 - share, 10 ** -self.most)), self.most) / self.most

    def ticks(self):
        return [0, 0.5, 0.9, 0.99, 0.999, 0.9999]


def frame(x, y, x_text, y_text, x_title, y_title):
    """Axes with a grid."""
    wide, high = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    parts = []
    for tick in y.ticks():
        at = TOP + high * (1 - y.place(tick))
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{LEFT + wide}" y1="{at:.1f}" y2="{at:.1f}"/>'
                     f'<text x="{LEFT - 8}" y="{at + 4:.1f}" text-anchor="end">{y_text(tick)}</text>')
    for tick in x.ticks():
        at = LEFT + wide * x.place(tick)
        parts.append(f'<line class="grid" x1="{at:.1f}" x2="{at:.1f}" y1="{TOP}" y2="{TOP + high}"/>'
                     f'<text x="{at:.1f}" y="{TOP + high + 18}" text-anchor="middle">'
                     f'{x_text(tick)}</text>')
    parts.append(f'<text x="{LEFT + wide / 2}" y="{HEIGHT - 8}" text-anchor="middle">'
                 f'{html.escape(x_title)}</text>')
    parts.append(f'<text transform="translate(16 {TOP + high / 2}) rotate(-90)" '
                 f'text-anchor="middle">{html.escape(y_title)}</text>')
    return parts


def spread_labels(wanted):
    """Places for labels at the right, none nearer than 15 to the next."""
    places, last = {}, -1e9
    for name, at in sorted(wanted.items(), key=lambda item: item[1]):
        last = max(at, last + 15)
        places[name] = last
    over = max(places.values(), default=0) - (HEIGHT - BOTTOM)
    return {name: at - max(0, over) for name, at in places.items()}


def svg(parts, label):
    return (f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{html.escape(label)}">'
            + "".join(parts) + "</svg>")


def lines(series, x, y, x_text, y_text, x_title, y_title, markers=True, steps=False):
    """series: {engine: [(x, y, what a pointer over it says)]}"""
    wide, high = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    parts = frame(x, y, x_text, y_text, x_title, y_title)
    ends = {}
    for engine, points in series.items():
        spots = [(LEFT + wide * min(max(x.place(a), 0), 1),
                  TOP + high * (1 - min(max(y.place(b), 0), 1)), tip) for a, b, tip in points]
        if not spots:
            continue
        path = f"M{spots[0][0]:.1f} {spots[0][1]:.1f}"
        for i in range(1, len(spots)):
            path += (f"H{spots[i][0]:.1f}V{spots[i][1]:.1f}" if steps
                     else f"L{spots[i][0]:.1f} {spots[i][1]:.1f}")
        weight = 2.8 if engine.startswith("gyre") else 1.8
        parts.append(f'<path d="{path}" fill="none" stroke="{color(engine)}" '
                     f'stroke-width="{weight}"{dash(engine)}><title>{engine}</title></path>')
        if markers:
            parts += [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3.5" fill="{color(engine)}"><title>'
                      f'{html.escape(tip)}</title></circle>' for a, b, tip in spots]
        ends[engine] = spots[-1][1]
    for engine, at in spread_labels(ends).items():
        parts.append(f'<text class="name" x="{LEFT + wide + 10}" y="{at + 4:.1f}" '
                     f'style="fill:{color(engine)}">{engine}</text>')
    return svg(parts, f"{y_title} over {x_title}")


def bars(groups, x_title, text=short, log=False):
    """groups: [(title, {engine: value})], horizontal; what is not known has no bar. The device, where
    it has a value, is a dashed line across its group."""
    rows = [(title, e, v) for title, values in groups for e, v in values.items()
            if v is not None and e != "raw"]
    top, row_high, gap = 6, 16, 12
    known = [v for _, _, v in rows] + [values["raw"] for _, values in groups
                                       if values.get("raw") is not None]
    if not known:
        return ""
    scale = Log(min(v for v in known if v > 0) * 0.7, max(known) * 1.3) if log \
        else Linear(0, max(known) * 1.08)
    left, wide = 110, WIDTH - 110 - 80
    parts, at = [], top
    for title, values in groups:
        mine = [(e, v) for e, v in values.items() if v is not None and e != "raw"]
        if not mine:
            continue
        parts.append(f'<text x="4" y="{at + 11}">{html.escape(title)}</text>')
        at += row_high
        begin = at
        for engine, value in mine:
            length = max(wide * max(scale.place(value), 0), 1)
            parts.append(f'<rect x="{left}" y="{at}" width="{length:.1f}" height="{row_high - 3}" '
                         f'fill="{color(engine)}"><title>{html.escape(title)}, {engine}: {text(value)}'
                         f'</title></rect><text x="{left + length + 6:.1f}" y="{at + 11}">'
                         f'{text(value)}</text><text class="name" x="{left - 8}" y="{at + 11}" '
                         f'text-anchor="end" style="fill:{color(engine)}">{engine}</text>')
            at += row_high
        if values.get("raw") is not None:
            where = left + wide * max(scale.place(values["raw"]), 0)
            parts.append(f'<line x1="{where:.1f}" x2="{where:.1f}" y1="{begin - 3}" y2="{at}" '
                         f'stroke="{color("raw")}" stroke-width="2"{dash("raw")}><title>raw: '
                         f'{text(values["raw"])}</title></line>')
        at += gap
    parts.append(f'<text x="{left + wide / 2}" y="{at + 12}" text-anchor="middle">'
                 f'{html.escape(x_title)}</text>')
    return (f'<svg viewBox="0 0 {WIDTH} {at + 22}" role="img" aria-label="{html.escape(x_title)}">'
            + "".join(parts) + "</svg>")
