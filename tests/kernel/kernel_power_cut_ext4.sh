#!/usr/bin/env bash
# Power cuts under ext4: nothing that was acknowledged as DURABLE is lost, no hole, every store
# opens. CUTS=200 SECONDS_WRITING=5 is the long form. See power_cut.sh.
. "$(dirname "$0")/lib.sh"
needs root loop fuse mkfs.ext4 setpriv
isolate $((60 + 3 * ${CUTS:-40})) "$@"
fs=ext4
. "$here/power_cut.sh"

write_histories rw
run_cuts "$cuts"
echo "ext4: $cuts cuts: $good good, $broken with loss or refused, $unmountable not mountable"
[ "$good" -eq "$cuts" ] || { head -n 20 bad_cuts; fail "see above"; }
