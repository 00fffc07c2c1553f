"""machine.py - on what it was measured, said once at the top of a report."""
import os
import platform
import subprocess
import time
from pathlib import Path

from suite_parts.runner import TREE


def first_line(command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=TREE)
    except OSError:
        return "?"
    return done.stdout.strip().splitlines()[0] if done.stdout.strip() else "?"


def read(path, otherwise="?"):
    try:
        return Path(path).read_text().strip()
    except OSError:
        return otherwise


def processor():
    for line in read("/proc/cpuinfo", "").splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def device(folder):
    """Name, file system and queue of the block device below a folder."""
    number = os.stat(folder).st_dev
    base = Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}").resolve()
    queue = base / "queue" if (base / "queue").exists() else base.parent / "queue"
    kind = first_line(["findmnt", "-no", "FSTYPE,OPTIONS", "-T", str(folder)])
    return (f"{base.name} ({' '.join(kind.split())}), {read(queue / 'nr_requests')} tags, write cache "
            f"{read(queue / 'write_cache')}, fua {read(queue / 'fua')}, scheduler "
            f"{read(queue / 'scheduler')}")


def interruptions(seconds=2.0):
    """Of a loop that only reads its own clock of processor time: what the machine takes from any
    thread (other guests, interrupts), so what no engine's longest run can be below."""
    clock = time.thread_time_ns
    last = clock()
    end, longest, many = last + int(seconds * 1e9), 0, 0
    while last < end:
        now = clock()
        longest = max(longest, now - last)
        many += now - last > 100_000
        last = now
    return f"{many / seconds:.0f} a second over 100 us, the longest {longest / 1000:,.0f} us"


def describe(folder, bench, name, plan):
    memory = read("/proc/meminfo").split()
    return {
        "suite": name, "date": time.strftime("%Y-%m-%d %H:%M %Z"),
        "commit": first_line(["git", "describe", "--always", "--dirty"]),
        "gyre-bench": first_line([str(bench), "--version"]),
        "processor": f"{processor()}, {os.cpu_count()} used",
        "interruptions": interruptions(),
        "memory": f"{int(memory[1]) / 2**20:.1f} GiB",
        "device": device(folder),
        "kernel": platform.release(), "load": " ".join(f"{x:.2f}" for x in os.getloadavg()),
        "entries": f"{plan.records:,} of 16 + 1,024 bytes, {' '.join(plan.common[:2])}",
        "rounds": str(plan.rounds),
    }
