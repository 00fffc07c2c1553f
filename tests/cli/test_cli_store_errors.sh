#!/usr/bin/env bash
# What is no store, cannot be read, or is open elsewhere: the exit code and the message of each.
. "$(dirname "$0")/lib.sh"

# no store there
for command in 'get s k' 'delete s k' 'scan s' 'dump s' 'stat s' 'verify s' 'compact s' \
    'checkpoint s t' 'salvage s t' 'put s k v --no-create' 'load s /dev/null --no-create'; do
    # shellcheck disable=SC2086 # a command and its words
    exits 4 "$gyre" $command
    says "gyre: ${command%% *}: s: "
    [ ! -e s ] && [ ! -e t ] || fail "$command has made something"
done

# something else is there
mkdir other
echo hello >other/readme
exits 4 "$gyre" get other k
exits 4 "$gyre" put other k v
[ "$(ls other)" = readme ] || fail "put leaves files in a foreign folder: $(ls other)"
exits 4 "$gyre" put other/readme k v
[ "$(cat other/readme)" = hello ] || fail "put writes over a file"

# a newer version has written a file: told from damage, file and offset named, nothing touched
"$gyre" put newer k v
for place in CURRENT:18 MANIFEST-000001:18 wal-000.log:18 wal-000.log:4114; do
    rm -rf changed
    cp -a newer changed
    printf '\x02' | dd of="changed/${place%:*}" bs=1 seek="${place#*:}" conv=notrunc status=none
    exits 4 "$gyre" get changed k
    grep -Eq 'newer version|this version cannot' err || fail "$place: $(cat err)"
    says "${place%:*} at "
done

# as an ordinary user, without permission
"$gyre" put mine k v
if [ "$(id -u)" -eq 0 ] && command -v setpriv >/dev/null && id nobody >/dev/null 2>&1; then
    cp "$gyre" "$work/gyre-copy" # the build may lie where nobody may look
    chmod 755 "$work"
    chmod 700 mine
    touch "$work"/{out,err}
    exits 4 setpriv --reuid nobody --clear-groups "$work/gyre-copy" get mine k
    says 'mine'
    exits 4 setpriv --reuid nobody --clear-groups "$work/gyre-copy" put "$work/new" k v
    exits 4 setpriv --reuid nobody --clear-groups "$work/gyre-copy" doctor "$work"
    printf 'a\t1\n' >secret
    chmod 600 secret
    exits 6 setpriv --reuid nobody --clear-groups "$work/gyre-copy" load "$work/new" secret
    says 'Permission denied'
elif [ "$(id -u)" -ne 0 ]; then
    chmod 000 mine
    exits 4 "$gyre" get mine k
    chmod 700 mine
fi
[ "$("$gyre" get mine k)" = v ] || fail "the store does not open any more"

# a second opener, while a load waits for its input
mkfifo pipe
: >log
"$gyre" load held pipe --format tsv --progress 1 2>log &
loader=$!
exec 9>pipe
printf 'a\t1\n' >&9
for ((i = 0; i < 100; i++)); do
    grep -q 'acknowledged 1 records' log && break
    sleep 0.1
done
grep -q 'acknowledged 1 records' log || fail "a record in the pipe is not acknowledged: $(cat log)"
exits 5 "$gyre" get held a --wait 0
says 'gyre: get: held: '
exits 5 "$gyre" put held b 2 --wait 0
started=$SECONDS
exits 5 "$gyre" put held b 2 --wait 1
[ $((SECONDS - started)) -ge 1 ] || fail "--wait does not wait"
exits 5 "$gyre" salvage held elsewhere
("$gyre" put held b 2 --wait 20 2>waiting || echo failed >>waiting) 9>&- &
waiter=$!
sleep 0.2
printf 'c\t3\n' >&9
exec 9>&-
wait $loader || fail "the load fails: $(cat log)"
wait $waiter
[ ! -s waiting ] || fail "--wait gives up: $(cat waiting)"
exits 0 "$gyre" scan held
prints $'a\t1\nb\t2\nc\t3'
