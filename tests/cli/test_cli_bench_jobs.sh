#!/usr/bin/env bash
# gyre-bench: job files, and input that is told from bad luck: each mistake has a message that says
# where it is, and leaves everything as it was.
. "$(dirname "$0")/bench_lib.sh"

# A file with a group of two that run at the same time, and one that waits for them.
cat >jobs.fio <<'END'
; a comment
# another
[global]
records=2k
value_size = 100
db=${STORE}

[fill]
rw=fillrandom
unique

[reader]
stonewall
rw=readrandom
iodepth=4
time_based
runtime=300ms
[writer]
rw=overwrite
time_based=1
runtime=300ms
rate_iops=100
END
export STORE=s
exits 0 "$bench" jobs.fio --output-format=json
holds '[j["jobname"] for j in d["jobs"]] == ["fill", "reader", "writer"]'
holds '[j["groupid"] for j in d["jobs"]] == [0, 1, 1]'
holds 'd["global options"] == {"records": "2k", "value_size": "100", "db": "s"}'
holds 'd["jobs"][1]["job options"]["iodepth"] == "4"'
holds 'd["jobs"][1]["gyre_bench"]["found_fraction"] == 1'
holds '20 <= d["jobs"][2]["write"]["total_ios"] <= 40'
exits 0 "$bench" --parse-only jobs.fio --ioengine=null # the command line holds for all
unset STORE
exits 2 "$bench" jobs.fio
says 'jobs.fio:6: the environment variable STORE is not set'

# Jobs of the command line; copies, one report for all or each its own.
exits 0 "$bench" --ioengine=null --output-format=json --ops=1000 --name=a --rw=readrandom \
    --name=b --rw=ycsb-a --stonewall
holds 'len(d["jobs"]) == 2 and d["jobs"][1]["jobname"] == "b"'
runs readrandom --ioengine=null --numjobs=3 --ops=1000
holds 'len(d["jobs"]) == 3 and all(j["read"]["total_ios"] == 1000 for j in d["jobs"])'
runs readrandom --ioengine=null --numjobs=3 --ops=1000 --group_reporting
holds 'len(d["jobs"]) == 1 and j["read"]["total_ios"] == 3000'

# Every option of the table is in the manual pages and in the help.
"$bench" --help >help
for page in gyre-bench.1 gyre-job.5; do
    sed 's/\\-/-/g; s/\\f.//g; s/\\~/ /g' "$tests/../../docs/man/$page" >>pages
done
"$bench" --cmdhelp=all | while IFS=$'\t' read -r name _ _; do
    grep -q -- "--$name" help || fail "--help lacks $name"
    grep -qw -- "$name" pages || fail "the manual pages lack $name"
done

# wrong LINE MESSAGE: a file with this line as its fifth is refused
wrong() {
    printf '%s\n' '[global]' 'db=new' '[one]' 'rw=fillseq' "$1" >wrong.fio
    exits 2 "$bench" wrong.fio
    says "$2"
    [ ! -e new ] || fail "bad input made a store: $1"
}
wrong 'iodpeth=4' "wrong.fio:5: iodpeth: unknown option, did you mean 'iodepth'?"
wrong 'iodepth=many' 'wrong.fio:5: iodepth takes a number from 1 to 65536'
wrong 'iodepth' 'wrong.fio:5: iodepth needs a value'
wrong 'runtime=long' 'wrong.fio:5: runtime takes a time'
wrong 'value_size=10/50' 'wrong.fio:5: value_size is'
wrong 'random_distribution=zipfian:2' 'wrong.fio:5: random_distribution is'
wrong 'ioengine=mysql' "wrong.fio:5: ioengine: unknown engine 'mysql'"
wrong 'rw=readalot' "wrong.fio:5: rw: unknown workload 'readalot'"
wrong 'unique=yes' 'wrong.fio:5: unique is 0 or 1'
wrong '[two' 'wrong.fio:5: a section is [name]'
wrong 'unique' "unique goes with fillrandom and fillsync only"
wrong 'time_based' 'time_based needs runtime='
wrong 'crash
[two]
stonewall
rw=readseq' 'crash goes with the last jobs only'
wrong 'nexts=4' 'nexts goes with seekrandom and ycsb-e only'
wrong 'rate_process=poisson' 'rate_process goes with rate_iops'
wrong 'random_distribution=latest' 'fillseq has an order of its own'
wrong 'stall_time=1s' 'go with ioengine=null'
wrong 'key_size=4
records=3g' 'key_size=4 is too small'
wrong 'insertorder=hashed
key_size=6' 'insertorder=hashed needs key_size=8'
wrong 'records=1t' 'MiB free, the run may need'
wrong '[two]
rw=readrandom
memory=64m' 'run at the same time on one store, but memory differs'
wrong '[two]
rw=readrandom
records=77' 'must be the same'
printf 'rw=fillseq\n' >wrong.fio
exits 2 "$bench" wrong.fio
says 'wrong.fio:1: an option before the first [section]'
: >wrong.fio
exits 2 "$bench" wrong.fio
says 'no job'

# What an engine cannot do.
exits 2 "$bench" readmissing --ioengine=raw --db=r
says 'ioengine=raw cannot look for absent keys'
exits 2 "$bench" readrandom --ioengine=gyre-blocking --db=s --iodepth=2
says 'cannot have more than one operation in flight'
exits 2 "$bench" fillseq --ioengine=lmdb --db=new --durability=nowal
says 'lmdb' # it cannot write without a log; or this program was built without it

# The command line.
exits 2 "$bench"
says 'which workload'
exits 2 "$bench" readalot --db=s
says "unknown workload 'readalot'"
exits 2 "$bench" readrandom
says 'db=DIR is needed'
exits 2 "$bench" readrandom --db=s --iodepth
says '--iodepth needs a value'
exits 2 "$bench" readrandom --db=s --speed=3
says '--speed: unknown option'
exits 2 "$bench" readrandom --db=s --options=speed=3
says 'speed'
exits 2 "$bench" readrandom jobs.fio
says 'not both'

# A store that is another one than the run is about.
exits 2 "$bench" readrandom --db=s --key_size=24
says 'was filled with key_size=16'
exits 2 "$bench" readrandom --db=s --value_size=1000
says 'was filled with value_size=100'
exits 2 "$bench" readrandom --db=s --compress_percentage=10
says 'was filled with compress_percentage=50'
exits 2 "$bench" readrandom --db=none
says 'no store at none'
exits 2 "$bench" fillseq --db=s
says 'fresh=1 removes it'
exits 2 "$bench" readrandom --ioengine=raw --db=s
says 's is a store of gyre, not of raw'
exits 0 "$bench" readrandom --db=s --compression=none --ops=10
says 'note: s was made with compression=default, this run writes with none'
mkdir mine
touch mine/precious
exits 2 "$bench" fillseq --db=mine --fresh
says 'no note says that gyre-bench made mine'
[ -e mine/precious ] || fail "a folder of somebody else's was removed"
[ ! -e none ] || fail "bad input made a store"
mv s s.old # another directory in its place: its note is not believed
cp -r s.old s
runs readrandom --db=s --records=2k --value_size=100 --ops=100
holds 'g["store_state"].startswith("state not known")'
