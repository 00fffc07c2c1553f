#!/usr/bin/env bash
# bench/suite: runs every step for every engine, and its report has every cell, is well formed and
# needs nothing from elsewhere. The smallest plan; its figures mean nothing.
. "$(dirname "$0")/bench_lib.sh"
[ -z "${GYRE_TEST_SLOW:-}" ] || { echo 'SKIP: one build is enough'; exit 77; }
suite=$tests/../../bench/suite

exits 0 "$suite" smoke here --bench "$bench" --engines gyre,gyre-completion,nosuch,raw
says "without nosuch: gyre-bench: --ioengine: unknown engine 'nosuch'"
grep -q '^random get, 64 in flight' out || fail "no table at the end: $(cat out)"
[ -z "$(find here -name '*.gyre-bench')" ] || fail "stores were left: $(ls here)"

python3 - <<'END' || fail "see above"
import re, sys
from html.parser import HTMLParser

text = open("here/report/report.md").read()
page = open("here/report/report.html").read()

def need(what, message):
    if not what:
        sys.exit(message)

# Every cell of throughput is a figure, or says why there is none.
tables = 0
for table in re.findall(r"^\| engine \|.*\n\|---.*\n((?:\|.*\n)+)", text, re.M):
    tables += 1
    engines = []
    for line in table.splitlines():
        cells = [c.strip() for c in line.strip("|").split("|")]
        engines.append(cells[0])
        need(re.match(r"[\d,]+ \([\d,]+\.\.[\d,]+\)$", cells[1]) or cells[1] == "cannot" or
             cells[0] == "gyre-completion", f"an empty cell: {line}")
    need(engines in (["gyre", "gyre-completion", "raw"], ["gyre"]), f"engines: {engines}")
need(tables >= 12, f"{tables} tables")
need("Beside the targets" in text and "longest run of the thread" in text, "no targets")

# Beside each target stands what was measured of each engine.
goals = text.split("## Beside the targets")[1].split("\n## ")[0].strip().splitlines()
need(goals[0].split("|")[3:6] == [" gyre ", " gyre-completion ", " device "], f"heads: {goals[0]}")
need(len(goals) >= 15, f"{len(goals) - 2} targets")
for line in goals[2:]:
    cells = [c.strip() for c in line.strip("|").split("|")]
    need(re.match(r"[\d,.]+$", cells[2]), f"nothing measured of Gyre: {line}")

# The page is whole, has its plots, and asks for nothing.
class Check(HTMLParser):
    void = {"meta"}
    def __init__(self):
        super().__init__()
        self.open, self.plots = [], 0
    def handle_starttag(self, tag, attributes):
        need(tag not in ("script", "link", "img", "iframe", "object"), f"<{tag}> in the page")
        for name, value in attributes:
            need(name not in ("src", "href", "xlink:href"), f"{name}={value}")
            need("nan" not in (value or "").lower().split(), f"a number that is none: {value}")
        self.plots += tag == "svg"
        if tag not in self.void:
            self.open.append(tag)
    def handle_startendtag(self, tag, attributes):
        pass
    def handle_endtag(self, tag):
        need(self.open and self.open.pop() == tag, f"</{tag}> closes nothing")

check = Check()
check.feed(page)
need(check.open == [], f"open at the end: {check.open}")
need(check.plots >= 8, f"{check.plots} plots")
need("url(" not in page and "http" not in page, "the page names an address")
END

# The seed benchmark prints the factors beside the claims. (Fewer entries: the job file's are a
# million.)
mkdir jobs
sed 's/records=1000000/records=20000/' "$tests/../../bench/jobs/seed.fio" >jobs/seed.fio
export STORE=seed
exits 0 "$bench" jobs/seed.fio --output-format=json
holds 'len(d["jobs"]) == 2 and d["jobs"][1]["gyre_bench"]["found_fraction"] == 1'
holds 'g["write_amplification"] > 1 and g["space_amplification"] > 1'
