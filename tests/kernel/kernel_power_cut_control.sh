#!/usr/bin/env bash
# The rig can fail: ext4 without barriers asks the disk for no flush, so cuts must lose commits or
# leave file systems that cannot be mounted. See power_cut.sh.
. "$(dirname "$0")/lib.sh"
needs root loop fuse mkfs.ext4 setpriv
isolate $((60 + 3 * ${CUTS:-40})) "$@"
fs=ext4
cuts=12
. "$here/power_cut.sh"

write_histories nobarrier
run_cuts "$cuts"
echo "control: $cuts cuts: $good good, $broken with loss or refused, $unmountable not mountable"
[ $((broken + unmountable)) -gt 0 ] || fail "nothing was ever lost: the rig does not see losses"
