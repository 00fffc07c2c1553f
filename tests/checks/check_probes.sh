#!/usr/bin/env bash
# Every probe that docs/probes.md names is in the shared library with that many arguments, and no
# other. Skips where the library was built without them, but not before it has seen that there are
# none.
set -euo pipefail
cache=$GYRE_BUILD/CMakeCache.txt
if ! grep -q '^GYRE_HAS_SDT:INTERNAL=1' "$cache" || grep -q '^GYRE_PROBES:BOOL=OFF' "$cache"; then
    if readelf -nW "$GYRE_SHARED" | grep -q 'Provider: gyre'; then
        echo "there are probes in a library that should have none"
        exit 1
    fi
    echo "SKIP: built without probes; Debian: apt-get install systemtap-sdt-dev"
    exit 77
fi
exec python3 - "${GYRE_SOURCE:-$(dirname "$0")/../..}/docs/probes.md" "$GYRE_SHARED" <<'EOF2'
import re, subprocess, sys

notes = subprocess.run(["readelf", "-nW", sys.argv[2]], capture_output=True, text=True).stdout
documented, found, wrong = {}, {}, []
for line in open(sys.argv[1]):
    cells = [cell.strip() for cell in line.split("|")]
    match = re.fullmatch(r"`(\w+__\w+)`", cells[1]) if len(cells) > 6 else None
    if match:
        documented[match.group(1)] = sum(cell != "" for cell in cells[2:6])
for block in notes.split("Provider: gyre")[1:]:
    name = re.search(r"Name: (\S+)", block).group(1)
    words = re.search(r"Arguments:([^\n]*)", block).group(1)
    found.setdefault(name, set()).add(len(re.findall(r" -?\d+@", words)))
for name in sorted(set(documented) | set(found)):
    if name not in found:
        wrong.append(f"{name} is documented and not in the library")
    elif name not in documented:
        wrong.append(f"{name} is in the library and not documented")
    elif found[name] != {documented[name]}:
        wrong.append(f"{name} has {found[name]} arguments, documented are {documented[name]}")
print(*wrong, f"{len(documented)} probes, {len(wrong)} wrong", sep="\n")
sys.exit(1 if wrong or len(documented) < 8 else 0)
EOF2
