"""runner.py - runs the steps of a plan, interleaved, each in a process of its own."""
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from suite_parts.plan import FAMILY

TREE = Path(__file__).resolve().parents[2]
PACKAGES = ("cmake ninja-build gcc libc6-dev binutils pkg-config liburing-dev libzstd-dev "
            "libxxhash-dev librocksdb-dev libleveldb-dev liblmdb-dev").split()


@dataclass
class Outcome:
    step: str
    engine: str
    round: int
    data: dict          # what gyre-bench printed; {} when it failed
    failure: str


def install(packages):
    """Debian packages that are missing; a peer that cannot be had is no reason to stop."""
    def is_there(package):
        state = subprocess.run(["dpkg-query", "-W", "-f", "${Status}", package],
                               capture_output=True, text=True, check=False).stdout
        return state.startswith("install ok installed")

    missing = [p for p in packages if not is_there(p)] if shutil.which("dpkg-query") else []
    if not missing:
        return
    print("suite: installing", *missing, file=sys.stderr)
    root = [] if os.getuid() == 0 else ["sudo"]
    subprocess.run(root + ["apt-get", "-qq", "update"], check=False)
    subprocess.run(root + ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq", "install", "-y",
                           "--no-install-recommends"] + missing,
                   stdout=subprocess.DEVNULL, check=False)


def find_bench(path):
    """gyre-bench: the one that is named, or the build of this tree, brought up to date."""
    if path:
        return path.resolve()
    install(PACKAGES)
    build = ["cmake", "--build", "--preset", "release", "--target", "gyre_bench"]
    configure = ["cmake", "--preset", "release", "-DGYRE_BENCH_PEERS=ON"]
    if not (TREE / "build/release").exists():
        configure.append("-DGYRE_TESTS=OFF")
    for command in (configure, build):
        done = subprocess.run(command, cwd=TREE, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            sys.exit(f"suite: {' '.join(command)} fails:\n{done.stdout[-3000:]}{done.stderr[-2000:]}")
    return TREE / "build/release/gyre-bench"


class Runner:
    def __init__(self, bench, folder, out):
        self.bench, self.folder, self.out = Path(bench), folder, out
        self.outcomes = []
        self.count = 0
        (out / "runs").mkdir(parents=True, exist_ok=True)

    def bench_run(self, label, options):
        """One run of gyre-bench. (data, failure)"""
        self.count += 1
        path = self.out / "runs" / f"{self.count:04}-{label}.json"
        command = [str(self.bench), *options, f"--output={path}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        data = {}
        if path.exists() and path.stat().st_size:
            data = json.loads(path.read_text())
        if done.returncode != 0:
            return {}, done.stderr.strip() or f"exit code {done.returncode}"
        return data, ""

    def present(self, engines):
        """Those that can be opened here; the others are named."""
        there = []
        for engine in engines:
            store = self.folder / f"probe-{engine}"
            _, failure = self.bench_run(f"probe-{engine}", [
                "fillseq", f"--ioengine={engine}", f"--db={store}", "--records=1000", "--fresh",
                "--output-format=json"])
            shutil.rmtree(store, ignore_errors=True)
            Path(f"{store}.gyre-bench").unlink(missing_ok=True)
            if failure:
                print(f"suite: without {engine}: {failure}", file=sys.stderr)
            else:
                there.append(engine)
        return there

    def store_of(self, engine, name):
        return self.folder / f"{FAMILY.get(engine, engine)}-{name}"

    def all(self, plan, engines):
        started = time.monotonic()
        total = plan.rounds * len(plan.steps)
        for number in range(plan.rounds):
            for i, step in enumerate(plan.steps):
                if not step.rounds or number < step.rounds:
                    self.step(plan, step, engines, number)
                done = number * len(plan.steps) + i + 1
                print(f"suite: {done}/{total} {step.title}, round {number + 1}, "
                      f"{time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)

    def step(self, plan, step, engines, number):
        for engine in engines:
            if (engine in step.without or not step.asks(engine) or
                    (engine in FAMILY and step.writes)):
                continue
            common = [f"--ioengine={engine}", f"--db={self.store_of(engine, step.store)}",
                      f"--randseed={1000 * number + 7 * len(self.outcomes) + 1}", *plan.common]
            options = step.options_of(engine)
            # a workload comes last, jobs with names after what is for all of them
            data, failure = self.bench_run(f"{step.name}-{engine}-{number + 1}",
                                           join(common, options))
            if failure:
                print(f"suite: {step.name}, {engine}: {failure}", file=sys.stderr)
            self.outcomes.append(Outcome(step.name, engine, number, data, failure))

    def remove_stores(self):
        for note in self.folder.glob("*.gyre-bench"):
            shutil.rmtree(str(note)[:-len(".gyre-bench")], ignore_errors=True)
            note.unlink()


def join(common, options):
    """Options of the step win over those that all have."""
    names = {o.split("=")[0] for o in options if o.startswith("--")}
    has_jobs = "--name" in names
    kept = [o for o in common if has_jobs or o.split("=")[0] not in names]
    return kept + options
