#!/usr/bin/env bash
# docs/parts.md tells the truth: the files it names are there, the tests are, and what it says to
# look for in a test stands in it.
set -euo pipefail
cd "${GYRE_SOURCE:-$(dirname "$0")/../..}"
exec python3 - docs/parts.md <<'EOF2'
import re, sys
from pathlib import Path

page, rows, wrong = sys.argv[1], 0, []
KINDS = ("unit", "sim", "crash", "kernel", "cli", "fuzz", "checks", "consume", "aarch64", "support",
         "examples")
for number, line in enumerate(Path(page).read_text().splitlines(), 1):
    if not line.startswith("|") or line.startswith("|---"):
        continue
    cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
    if cells[1] == "Files":
        continue
    rows += 1
    if len(cells) != 4 or not all(cells):
        wrong.append((number, "not four cells"))
        continue
    part, files, test, command = cells

    def must_exist(path):
        if not Path(path).exists():
            wrong.append((number, f"there is no {path}"))

    for path in re.findall(r"`([^`]+)`", part + files):
        if "/" in path or path.endswith(".md"):
            must_exist(path)
    searched = ""
    for word in re.findall(r"`([^`]+)`", test):
        path = word if word.startswith("bench/") else f"tests/{word}"
        if word.startswith("bench/") or word.split("/")[0] in KINDS:
            must_exist(path)
            if Path(path).is_file():
                searched = Path(path).read_text()
        elif searched and word not in searched:
            wrong.append((number, f"`{word}` is not in the test named before it"))
    for name in re.findall(r"`T ([a-z0-9_]+)`", command):
        plain = name.removeprefix("example_")
        found = [p for kind in KINDS for p in Path("tests", kind).glob(f"{name}.*")]
        found += Path("examples").glob(f"{plain}.c") if plain != name else []
        if not found and not Path("tests", name, "run.sh").exists():
            wrong.append((number, f"there is no test {name}"))
for number, what in wrong:
    print(f"{page}:{number}: {what}")
print(f"{rows} parts, {len(wrong)} wrong")
sys.exit(1 if wrong or rows < 100 else 0)
EOF2
