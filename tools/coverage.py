#!/usr/bin/env python3
"""What the tests run of the engine: lines and branches, a table for each folder.

    tools/coverage.py                       build, run everything, print the table (20 minutes)
    tools/coverage.py --no-run              print again what the last run counted
    tools/coverage.py --list engine/disk    also each line and branch there that nothing ran

Builds preset `coverage` (gcc, gcov) and runs in it: the unit tests, the simulations, the fuzz
targets with their corpora, the commands, and --seeds seeds of the checker (3,000).

What counts: a line or a branch is covered when either build of the library ran it, the one that
users link or the checker's (io/base/checked.h). Left out are asserts (gy_assert, gy_bug: the other
side is a bug of ours and aborts) and planted bugs (GY_MUTANT), which only the checker's build has.
`decode and recovery` is where every branch that is possible should run: DECODE below.
Exit: 0 when the tests passed and the share of lines is at least --demand per cent (95).
"""
import argparse
import fnmatch
import gzip
import json
import os
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
BUILD = TOP / "build" / "coverage"
LABELS = "unit|sim|fuzz|cli|example"
SEED_TESTS = "^seeds$"  # the campaign below runs more of them

# Log, manifest and tables as they are read from disk, and the opening of a store.
DECODE = [
    "engine/codec/*.c",
    "engine/db/begin.c", "engine/db/recover*.c", "engine/db/table_list.c",
    "engine/disk/manifest_reader.c", "engine/disk/stage.c",
    "engine/disk/wal_commits.c", "engine/disk/wal_reader.c",
    "engine/disk/table.c", "engine/disk/table_check.c", "engine/disk/table_cursor.c",
    "engine/disk/table_hashes.c", "engine/disk/table_read.c", "engine/disk/table_salvage.c",
    "engine/disk/table_stream.c",
]
LOG_WRITE = [
    "engine/disk/manifest.c", "engine/disk/wal.c", "engine/disk/wal_slot.c",
    "engine/disk/wal_staged.c", "engine/disk/wal_writer.c",
]
LEFT_OUT = re.compile(r"\b(gy_assert(_slow)?|gy_bug|_Static_assert|GY_SOMETIMES)\b")


# ---- Build and run ----

def run(*command):
    print("+", *command, flush=True)
    return subprocess.run([str(word) for word in command], cwd=TOP).returncode == 0


def run_all(args):
    jobs = str(args.jobs)
    if not run("cmake", "--preset", "coverage") or \
            not run("cmake", "--build", "--preset", "coverage", "-j", jobs):
        sys.exit(2)
    for counts in BUILD.rglob("*.gcda"):
        counts.unlink()
    good = run("ctest", "--test-dir", BUILD, "-j", jobs, "-L", LABELS, "-E", SEED_TESTS,
               "--output-on-failure", "--timeout", "1200", "-Q", "-O", BUILD / "tests.log")
    return run(BUILD / "gyre_sim", "--seeds", args.seeds, "--jobs", jobs) and good


# ---- What gcov says ----

class Source:
    """One file: how often each line ran, and each of its branches. The library that users link says
    what there is; the checker's build, which has more branches where its marks are, only counts."""

    def __init__(self, name):
        self.name = name
        self.left_out = lines_left_out((TOP / name).read_text())
        self.lines = {}
        self.branches = {}
        self.checked_branches = {}

    def add(self, entry, is_checked):
        for line in entry["lines"]:
            number = line["line_number"]
            if number in self.left_out or (is_checked and number not in self.lines):
                continue
            self.lines[number] = self.lines.get(number, 0) + line["count"]
            counts = [branch["count"] for branch in line["branches"]]
            branches = self.branches
            if is_checked and len(counts) != len(branches.get(number, [])):
                branches = self.checked_branches
            known = branches.get(number, [0] * len(counts))
            if len(counts) == len(known):
                branches[number] = [a + b for a, b in zip(known, counts)]

    def branches_of_line(self, number):
        """Where the builds differ nobody can tell whose branch is whose: a mark brings two, of
        which one is never taken, and what else lacks in both is taken to be the same."""
        counts = self.branches[number]
        if number in self.checked_branches:
            checked = self.checked_branches[number]
            marks = max(0, len(checked) - len(counts)) // 2
            lacking = min(counts.count(0), max(0, checked.count(0) - marks))
            counts = [0] * lacking + [1] * (len(counts) - lacking)
        return counts

    def totals(self):
        branches = [count for number in self.branches for count in self.branches_of_line(number)]
        return (len(self.lines), sum(count > 0 for count in self.lines.values()),
                len(branches), sum(count > 0 for count in branches))

    def holes(self):
        for number in sorted(self.lines):
            if self.lines[number] == 0:
                yield number, "never ran"
            elif number in self.branches:
                counts = self.branches_of_line(number)
                lacking = [str(i) for i, count in enumerate(counts) if count == 0]
                if lacking:
                    yield number, f"branch {','.join(lacking)} of {len(counts)}"


def lines_left_out(text):
    """Lines of asserts, up to the end of their parentheses."""
    left_out = set()
    for match in LEFT_OUT.finditer(text):
        depth = 0
        for at in range(match.end(), len(text)):
            depth += {"(": 1, ")": -1}.get(text[at], 0)
            if depth == 0:
                break
        first = text.count("\n", 0, match.start()) + 1
        left_out.update(range(first, first + text.count("\n", match.start(), at) + 1))
    return left_out


def gcov(notes):
    """The JSON of one object file, counted or not."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(["gcov", "--json-format", "--branch-probabilities", str(notes)],
                              cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        found = list(Path(folder).glob("*.gcov.json.gz"))
        if done.returncode != 0 or not found:
            sys.exit(f"gcov says nothing of {notes}")
        return json.loads(gzip.decompress(found[0].read_bytes()))


def read_counts():
    sources = {}
    for library in ("gyre_objects", "gyre_checked"):
        notes = sorted((BUILD / "CMakeFiles" / f"{library}.dir" / "engine").rglob("*.gcno"))
        if not notes:
            sys.exit("nothing was built: run tools/coverage.py without --no-run")
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            results = list(pool.map(gcov, notes))
        for result in results:
            for entry in result["files"]:
                path = Path(result["current_working_directory"], entry["file"]).resolve()
                if path.is_relative_to(TOP / "engine"):
                    name = str(path.relative_to(TOP))
                    source = sources.setdefault(name, None) or Source(name)
                    source.add(entry, library == "gyre_checked")
                    sources[name] = source
    return sources


# ---- The table ----

def row(title, sources):
    lines, lines_run, branches, branches_run = (
        sum(column) for column in zip(*(source.totals() for source in sources)))
    share = 100 * lines_run / max(lines, 1)
    print(f"{title:<28} {lines_run:>6} of {lines:>6} {share:6.1f} %"
          f" {branches_run:>6} of {branches:>6} {100 * branches_run / max(branches, 1):6.1f} %")
    return share


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--no-run", action="store_true")
    parser.add_argument("--list", metavar="PREFIX", action="append", default=[])
    parser.add_argument("--files", action="store_true", help="a row for each file too")
    parser.add_argument("--seeds", type=int, default=3000)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--demand", type=float, default=95)
    args = parser.parse_args()
    good = args.no_run or run_all(args)
    sources = read_counts()
    folders = defaultdict(list)
    for name in sorted(sources):
        folders[os.path.dirname(name)].append(sources[name])
    for prefix in args.list:
        for name in sorted(sources):
            if name.startswith(prefix):
                text = (TOP / name).read_text().splitlines()
                for number, what in sources[name].holes():
                    print(f"{name}:{number}: {what}: {text[number - 1].strip()}")
    print(f"{'':<28} {'lines':>25} {'branches':>25}")
    for folder in sorted(folders):
        row(folder, folders[folder])
        if args.files:
            for source in folders[folder]:
                row("  " + os.path.basename(source.name), [source])
    for title, globs in (("decode and recovery", DECODE), ("log and manifest, written", LOG_WRITE)):
        row(title, [sources[name] for name in sorted(sources)
                    if any(fnmatch.fnmatch(name, glob) for glob in globs)])
    share = row("all of the engine", sources.values())
    return 0 if good and share >= args.demand else 1


if __name__ == "__main__":
    sys.exit(main())
