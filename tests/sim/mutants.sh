#!/usr/bin/env bash
# mutants.sh GYRE_SIM [--update] [number]... - does the checker find every bug that is planted in
# the engine (io/base/mutants.h)?
#
# Each is run with the seed of mutant_seeds.txt that is known to find it, which takes a second at
# most; where that does not find it any more, with up to GYRE_MUTANT_SEEDS seeds (2000). One that
# survives fails the test. So does one of these seeds when it fails without a planted bug: then the
# table says nothing. --update writes the table anew, with the seeds that were found.
set -euo pipefail
checker=$(realpath "${1:?usage: mutants.sh GYRE_SIM [--update] [number]...}")
shift
here=$(dirname "$(realpath "$0")")
table=$here/mutant_seeds.txt
seeds_max=${GYRE_MUTANT_SEEDS:-2000}
update=no
[ "${1:-}" != --update ] || { update=yes; shift; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

"$checker" --list-mutants >list
if [ $# -gt 0 ]; then
    grep -E "^($(IFS='|'; echo "$*"))[[:blank:]]" list >chosen
    mv chosen list
fi

# What it says last before it ends, on one line.
reason() {
    grep -v '^FAILED' "$1" | grep -v '^ *seed [0-9]' | tail -n 1 | sed 's/^ *//' | cut -c 1-70
}

# The first seed from $2 on that finds mutant $1 and is content without it; empty: none does.
search() {
    local first=$2 seed
    while [ "$first" -le "$seeds_max" ]; do
        "$checker" --mutant "$1" --first "$first" --seeds $((seeds_max - first + 1)) --jobs 1 \
            >out."$1" 2>err."$1" && return
        seed=$(sed -n 's/^FAILED: seed \([0-9]*\).*/\1/p' err."$1" | head -n 1)
        [ -n "$seed" ] || return
        if "$checker" --seed "$seed" >out."$1" 2>&1; then
            echo "$seed"
            return
        fi
        first=$((seed + 1))
    done
}

# One mutant; leaves a row "number name verdict seed seconds reason".
try_one() {
    local number=$1 name=$2 seed start end
    seed=$(awk -v n="$number" '$1 == n { print $2 }' "$table" 2>/dev/null || true)
    start=$(date +%s%N)
    if [ -z "$seed" ] || "$checker" --mutant "$number" --seed "$seed" >out."$number" 2>err."$number"
    then
        seed=$(search "$number" 1)
    fi
    end=$(date +%s%N)
    printf '%s\t%s\t%s\t%s\t%d.%d\t%s\n' "$number" "$name" "$([ -n "$seed" ] && echo killed ||
        echo SURVIVED)" "${seed:--}" $(((end - start) / 1000000000)) \
        $(((end - start) / 100000000 % 10)) "$(reason err."$number")" >row."$number"
}
export -f try_one search reason
export checker table seeds_max

cut -f 1,2 list | xargs -P "$(nproc)" -L 1 bash -c 'try_one "$0" "$1"'
sort -n row.* >rows
{
    printf 'n\tname\tverdict\tseed\tseconds\tkilled by\n'
    cat rows
} | column -t -s "$(printf '\t')"

if [ "$update" = yes ]; then # rows of others stay
    {
        echo "# For each planted bug a seed of gyre_sim that finds it; by mutants.sh --update."
        {
            awk -F '\t' '$3 == "killed" { print $1, $4, "# " $2 }' rows
            awk 'NR == FNR { mine[$1]; next } !/^#/ && !($1 in mine)' rows "$table" 2>/dev/null
        } | sort -n
    } >"$table".new
    mv "$table".new "$table"
fi

all=$(wc -l <rows)
killed=$(awk -F '\t' '$3 == "killed"' rows | wc -l)
listed=$(awk -F '\t' '$1 <= 28 && $3 == "killed"' rows | wc -l)
echo "$listed of $(awk '$1 <= 28' rows | wc -l) killed, and $((killed - listed)) of $((all -
    $(awk '$1 <= 28' rows | wc -l))) more"
awk -F '\t' '$3 == "killed" { print $4 }' rows | sort -nu >seeds
if ! "$checker" --corpus seeds --jobs "$(nproc)" --failures 9 >sane 2>&1; then
    cat sane
    echo "seeds of the table fail without a planted bug"
    exit 1
fi
[ "$killed" -eq "$all" ]
