#!/usr/bin/env bash
# Long work says how far it is: a bar that is drawn over itself on a terminal, plain lines in a
# file, nothing where it is not wanted.
. "$(dirname "$0")/lib.sh"
command -v python3 >/dev/null || {
    echo "SKIP: no python3 to make a terminal with"
    exit 77
}

# on_terminal.py COMMAND...: stdin is a slow pipe, stderr a terminal whose content is printed
cat >on_terminal.py <<'EOF2'
import os, subprocess, sys, threading, time

master, slave = os.openpty()
child = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                         stderr=slave)
os.close(slave)


def feed():
    try:
        for i in range(8):
            child.stdin.write(b"".join(b"key%05d\tvalue\n" % (i * 1000 + j) for j in range(1000)))
            child.stdin.flush()
            time.sleep(0.15)
        child.stdin.close()
    except BrokenPipeError:
        pass  # it reads a file


feeder = threading.Thread(target=feed)
feeder.start()
seen = b""
while True:
    try:
        part = os.read(master, 4096)
    except OSError:
        break
    if not part:
        break
    seen += part
feeder.join()
sys.stdout.buffer.write(seen)
sys.exit(child.wait())
EOF2

redraw=$'\r\033[K'
seq 1 30000 | awk '{printf "key%06d\tvalue %d\n", $1, $1}' >rows

# of a pipe nobody knows the size, of a file one does
exits 0 python3 on_terminal.py "$gyre" load pipe --format tsv
grep -qF "$redraw" out || fail "nothing is drawn on a terminal: $(cat -v out)"
grep -qE '[0-9]+ records in [0-9]+ s' out || fail "no count on a terminal: $(cat -v out)"
[ "$("$gyre" scan pipe --count)" = 8000 ] || fail "records are missing"
exits 0 python3 on_terminal.py "$gyre" load bar rows --format tsv --batch 30
grep -qE '\[#*\.+\] +[0-9]+ %' out || fail "no bar on a terminal: $(cat -v out)"
exits 0 python3 on_terminal.py "$gyre" load quiet --format tsv --quiet
! grep -qF "$redraw" out || fail "a bar in spite of --quiet: $(cat -v out)"

# a file: lines that a script can read, and no control characters
exits 0 "$gyre" load file rows --format tsv --progress 10000
for count in 10000 20000 30000; do
    grep -qx "acknowledged $count records" err || fail "no line for $count: $(cat err)"
done
! grep -q "[$(printf '\r\033')]" err || fail "control characters in a file: $(cat -v err)"
