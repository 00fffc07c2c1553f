# shellcheck shell=bash
# bench_lib.sh - what the tests of gyre-bench share. It lies in the folder of the command `gyre`.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
bench=$(dirname "$gyre")/gyre-bench
[ -x "$bench" ] || { echo "SKIP: no gyre-bench beside $gyre"; exit 77; }

# holds EXPRESSION [FILE]: of the JSON in ./out: d all of it, j its first job, g what fio does not
# know
holds() {
    python3 -c 'import json, sys
d = json.load(open(sys.argv[2]))
j = d["jobs"][0]
g = j["gyre_bench"]
sys.exit(0 if eval(sys.argv[1]) else 1)' "$1" "${2:-out}" ||
        fail "not true: $1: $(head -c 4000 out)"
}

# runs WORKLOAD OPTION...: it ends well, its JSON in ./out
runs() { exits 0 "$bench" "$@" --output-format=json; }
