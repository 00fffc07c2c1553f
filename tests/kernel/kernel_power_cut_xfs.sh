#!/usr/bin/env bash
# Power cuts under XFS: nothing that was acknowledged as DURABLE is lost, no hole, every store
# opens. CUTS=200 SECONDS_WRITING=5 is the long form. See power_cut.sh.
. "$(dirname "$0")/lib.sh"
needs root loop fuse mkfs.xfs setpriv
isolate $((60 + 3 * ${CUTS:-40})) "$@"
fs=xfs
cuts=30 # mounting one takes longer
. "$here/power_cut.sh"

write_histories rw
run_cuts "$cuts"
echo "xfs: $cuts cuts: $good good, $broken with loss or refused, $unmountable not mountable"
[ "$good" -eq "$cuts" ] || { head -n 20 bad_cuts; fail "see above"; }
