#!/usr/bin/env python3
"""Change one line of the engine at a time and see whether the tests notice.

    tools/mutate.py --list engine/db/recover.c        what would be changed
    tools/mutate.py --sample 60 --seed 1              60 changes at random in the default files
    tools/mutate.py engine/lsm/job.c:await_entry      all changes of one function
    tools/mutate.py --at engine/lsm/job.c:250         all changes of one line

Works in a copy of the tree. For each change the programs that judge are built anew and run, cheap
ones first; the first that fails or hangs has killed it. What no judge notices has survived: a hole
in the tests, or a change that changes nothing, which is for a human to say. A change that gives
the same object code is counted as equal and not run.

Judges: the unit tests of the file (test_<file>, and those that UNIT_TESTS names), then --judge
commands in their order ({build} is the build folder of the copy), by default DEFAULT_JUDGES.
Exit: 0 when the share of killed changes is at least --demand per cent (0), else 1.
"""
import argparse
import hashlib
import os
import random
import re
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent

DEFAULT_FILES = [
    "engine/db/recover.c", "engine/disk/wal*.c", "engine/disk/manifest*.c",
    "engine/lsm/*.c", "engine/codec/*.c",
]
# Besides test_<file>.
UNIT_TESTS = {
    "engine/codec/block_read.c": ["test_block"],
    "engine/codec/checksum.c": ["test_frame"],
    "engine/codec/batch.c": ["test_batch_codec"],
    "engine/db/*.c": ["test_db_basic", "test_db_iterator", "test_db_recover", "test_db_coroutines"],
    "engine/disk/cache*.c": ["test_cache", "test_db_basic"],
    "engine/disk/manifest*.c": ["test_db_recover", "test_db_basic"],
    "engine/disk/stage.c": ["test_db_log", "test_db_recover"],
    "engine/disk/table*.c": ["test_table", "test_db_basic"],
    "engine/disk/wal*.c": ["test_db_log", "test_db_recover", "test_db_coroutines",
                           "test_db_salvage"],
    "engine/lsm/compact_run.c": ["test_compact_run"],
    "engine/lsm/flush.c": ["test_compact_run"],
    "engine/lsm/job*.c": ["test_compact_run", "test_job_levels"],
    "engine/lsm/memtable_cursor.c": ["test_memtable", "test_merge_cursor"],
}
DEFAULT_JUDGES = ["{build}/gyre_sim --seeds 300"]
MEMORY_MAX = 4 << 30


# ---- What can be changed ----

COMPARISONS = {"<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "=="}
# Not worth it: checks of our own mistakes, texts, marks for the checker.
SKIPPED = re.compile(r"\bgy_assert|\bGY_SOMETIMES\b|_Static_assert|^\s*#|gy_loop_log|gy_in_coroutine")
DECLARATION = re.compile(
    r"^\s+(?:static |const |struct |enum |union |unsigned |u?int\d*(?:_t)? |size_t |bool |char "
    r"|gyre_\w+ |void |double )")


class Mutation:
    """One line of a file, and what stands there instead."""

    def __init__(self, path, number, kind, old, new, function):
        self.path, self.number, self.kind = path, number, kind
        self.old, self.new, self.function = old, new, function

    def where(self):
        return f"{self.path}:{self.number}"

    def __str__(self):
        return f"{self.where()}  {self.kind}\n    - {self.old.strip()}\n    + {self.new.strip()}"


def blank(line):
    """The line with strings, characters, comments and planted bugs replaced by as many dots."""
    return re.sub(r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'|/\*.*?(?:\*/|$)|GY_MUTANT\(\w+\)',
                  lambda match: "." * len(match.group(0)), line)


def replace_each(line, code, pattern, replacement):
    """(old text, line) for each match of `pattern` in the code of the line, one at a time."""
    for match in re.finditer(pattern, code):
        old = match.group(1)
        new = replacement(old)
        yield old, new, line[:match.start(1)] + new + line[match.end(1):]


def condition(code):
    """(start, end) of the condition of an if or while that begins and ends on this line."""
    match = re.match(r"\s*(?:\} else )?(?:if|while) \(", code)
    if not match:
        return None
    depth = 0
    for at in range(match.end() - 1, len(code)):
        depth += {"(": 1, ")": -1}.get(code[at], 0)
        if depth == 0:
            return (match.end(), at) if code[at:].rstrip() == ") {" else None
    return None


def is_statement(code):
    """A whole statement on one line that may be left out: no declaration, no return."""
    return (code.rstrip().endswith(";") and code.count("(") == code.count(")")
            and not DECLARATION.match(code)
            and re.match(r"\s+(?:\(void\))?[\w*(]", code)
            and not re.match(r"\s+(?:return|goto|case|default|for|while|if|do|else)\b", code)
            and re.match(r"[^{}?]*$", code))


def of_line(line, is_fresh):
    """(kind, new line) for each change of a line; `is_fresh`: a statement begins here."""
    code = blank(line)
    if SKIPPED.search(code):
        return
    for old, new, text in replace_each(line, code, r" (<=|>=|==|!=|<|>) ", COMPARISONS.get):
        yield f"{old} -> {new}", text
    for old, new, text in replace_each(line, code, r"(&&|\|\|)", {"&&": "||", "||": "&&"}.get):
        yield f"{old} -> {new}", text
    for old, new, text in replace_each(line, code, r"[\w)\]] (\+|-) [\w(]",
                                       {"+": "-", "-": "+"}.get):
        yield f"{old} -> {new}", text
    for old, _, text in replace_each(line, code, r"( [+-] 1)\b", lambda old: ""):
        yield f"drop{old}", text
    for old, new, text in replace_each(line, code, r"(\+=|-=)", {"+=": "-=", "-=": "+="}.get):
        yield f"{old} -> {new}", text
    for old, new, text in replace_each(line, code, r"\bgy_(min|max)_u64\b",
                                       {"min": "max", "max": "min"}.get):
        yield f"{old} -> {new}", text
    for old, new, text in replace_each(line, code, r"\breturn (true|false);",
                                       {"true": "false", "false": "true"}.get):
        yield f"return {new}", text
    for _, _, text in replace_each(line, code, r"\breturn (st|status|GYRE_(?!OK\b)[A-Z_]+);",
                                   lambda old: "GYRE_OK"):
        yield "return GYRE_OK", text
    place = condition(code)
    if place:
        start, end = place
        head, middle, tail = line[:start], line[start:end], line[end:]
        if not re.match(r"[^&|<>]*[!=]=[^&|<>]*$", middle): # else it was done above
            yield "negate", f"{head}!({middle}){tail}"
        if re.search(r"\bif \(", code):
            yield "never", f"{head}0 && ({middle}){tail}"
            yield "always", f"{head}1 || ({middle}){tail}"
    if is_fresh and is_statement(code):
        indent = re.match(r"\s*", line).group(0)
        yield "drop statement", f"{indent};"


def of_file(path, text):
    """All changes in the bodies of the functions of a file."""
    found = []
    function = None
    name = None
    in_comment = False
    is_fresh = True
    for number, line in enumerate(text.split("\n"), 1):
        if in_comment:
            in_comment = "*/" not in line
            continue
        match = re.match(r"(\w+)\(", line)
        if match:
            name = match.group(1)
        if line == "{":
            function, is_fresh = name, True
        elif line == "}":
            function = None
        elif function is not None:
            for kind, new in of_line(line, is_fresh):
                found.append(Mutation(path, number, kind, line, new, function))
            code = blank(line).rstrip().rstrip(".").rstrip()
            is_fresh = not code or code[-1] in ";{}:"
        in_comment = "/*" in line and "*/" not in line[line.rindex("/*"):]
    return found


def select(top, wanted):
    """Changes of `path`, `path:function` or a glob of paths."""
    found = []
    for item in wanted:
        pattern, _, function = item.partition(":")
        paths = sorted(top.glob(pattern))
        if not paths:
            raise SystemExit(f"mutate: no file {pattern}")
        for path in paths:
            relative = str(path.relative_to(top))
            found += [m for m in of_file(relative, path.read_text())
                      if not function or m.function == function]
    return found


# ---- Judging ----

class Copy:
    """A copy of the tree with a build of its own."""

    def __init__(self, top, folder, jobs):
        self.top = Path(folder) / "gyre"
        self.build = self.top / "build"
        self.jobs = jobs
        self.baseline = {}
        names = subprocess.run(["git", "-C", str(top), "ls-files", "-co", "--exclude-standard"],
                               check=True, capture_output=True, text=True).stdout.split("\n")
        for name in filter(None, names):
            if (top / name).is_file():
                (self.top / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(top / name, self.top / name)

    def configure(self, preset):
        os.environ.update(CCACHE_BASEDIR=str(self.top), CCACHE_NOHASHDIR="1") # where it is used
        subprocess.run(["cmake", "--preset", preset, "-B", str(self.build), "-DGYRE_WERROR=OFF"],
                       cwd=self.top, check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)

    def targets(self):
        text = subprocess.run(["ninja", "-C", str(self.build), "-t", "targets", "all"],
                              check=True, capture_output=True, text=True).stdout
        return {line.split(":")[0] for line in text.split("\n")}

    def make(self, targets):
        """True: everything was built."""
        return subprocess.run(["ninja", "-C", str(self.build), f"-j{self.jobs}", *targets],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0

    def code_of(self, path):
        """Hash of what a source was compiled to."""
        folder = self.build / "CMakeFiles/gyre_checked.dir"
        if not folder.is_dir():
            folder = self.build / "CMakeFiles/gyre_objects.dir"
        with tempfile.NamedTemporaryFile(suffix=".o") as stripped:
            subprocess.run(["objcopy", "--strip-debug", "--remove-section=.note*",
                            "--remove-section=.comment", str(folder / f"{path}.o"),
                            stripped.name], check=True)
            return hashlib.sha256(Path(stripped.name).read_bytes()).hexdigest()


def unit_tests_of(path, targets):
    names = [f"test_{Path(path).stem}"]
    for pattern, more in UNIT_TESTS.items():
        if Path(path).match(pattern):
            names += more
    return [name for name in dict.fromkeys(names) if name in targets]


def run_judge(command, limit, folder):
    """None: it is content. Else why it is not."""
    def bound():
        os.setsid()
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_MAX, MEMORY_MAX))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL, preexec_fn=bound)
    try:
        code = process.wait(timeout=limit)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return "no end"
    if code in (0, 77):
        return None
    return f"signal {-code}" if code < 0 else f"exit {code}"


def judge(copy, mutation, judges, limit, units):
    """(verdict, by whom)"""
    path = copy.top / mutation.path
    text = path.read_text()
    lines = text.split("\n")
    assert lines[mutation.number - 1] == mutation.old
    lines[mutation.number - 1] = mutation.new
    tests = units[mutation.path]
    programs = [shlex.split(command)[0] for command in judges]
    targets = tests + [Path(program).name for program in programs
                       if program.startswith(str(copy.build))]
    path.write_text("\n".join(lines))
    try:
        if not copy.make(targets):
            return "did not compile", ""
        if copy.code_of(mutation.path) == copy.baseline[mutation.path]:
            return "equal", ""
        with tempfile.TemporaryDirectory(dir=copy.top) as folder:
            for command in [str(copy.build / test) for test in tests] + judges:
                start = time.monotonic()
                why = run_judge(shlex.split(command), limit, folder)
                if why:
                    name = Path(shlex.split(command)[0]).name
                    return "killed", f"{name}: {why} after {time.monotonic() - start:.1f} s"
        return "survived", ""
    finally:
        path.write_text(text)


def run(copy, chosen, judges, limit, out=sys.stdout):
    """Judges all; returns verdicts in the order of `chosen`."""
    known = copy.targets()
    units = {path: unit_tests_of(path, known) for path in {m.path for m in chosen}}
    judges = [command.replace("{build}", str(copy.build)) for command in judges]
    programs = {Path(shlex.split(c)[0]).name for c in judges
                if shlex.split(c)[0].startswith(str(copy.build))}
    every = sorted(programs.union(*units.values()))
    if not copy.make(every):
        raise SystemExit("mutate: the unchanged tree does not build")
    for path in units:
        copy.baseline[path] = copy.code_of(path)
    with tempfile.TemporaryDirectory(dir=copy.top) as folder:
        for command in [str(copy.build / name) for tests in units.values() for name in tests] + judges:
            why = run_judge(shlex.split(command), limit, folder)
            if why:
                raise SystemExit(f"mutate: the unchanged tree fails: {command}: {why}")
    verdicts = []
    for mutation in chosen:
        verdict, by = judge(copy, mutation, judges, limit, units)
        verdicts.append(verdict)
        print(f"{verdict:15}  {mutation.where():36} {mutation.kind:16} {by}", file=out, flush=True)
        if verdict == "survived":
            print(f"    - {mutation.old.strip()}\n    + {mutation.new.strip()}", file=out, flush=True)
    return verdicts


def summary(verdicts):
    count = {name: verdicts.count(name)
             for name in ("killed", "survived", "equal", "did not compile")}
    judged = count["killed"] + count["survived"]
    share = 100 * count["killed"] / judged if judged else 100.0
    text = ", ".join(f"{value} {name}" for name, value in count.items())
    return share, f"mutate: {len(verdicts)} changes: {text}; {share:.1f} % of those that count killed"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("files", nargs="*", default=DEFAULT_FILES, help="path, glob or path:function")
    parser.add_argument("--list", action="store_true", help="only show the changes")
    parser.add_argument("--sample", type=int, help="so many of them, at random")
    parser.add_argument("--seed", type=int, default=1, help="of --sample (1)")
    parser.add_argument("--at", action="append", help="path:line; only changes of that line")
    parser.add_argument("--judge", action="append", help="command; replaces the default one")
    parser.add_argument("--limit", type=float, default=120, help="seconds for each judge (120)")
    parser.add_argument("--demand", type=float, default=0, help="per cent to be killed, else exit 1")
    parser.add_argument("--preset", default="release", help="of cmake (release)")
    parser.add_argument("--jobs", type=int, default=2, help="of the build (2)")
    options = parser.parse_args()

    files = [at.rpartition(":")[0] for at in options.at] if options.at else options.files
    chosen = select(TOP, dict.fromkeys(files))
    if options.at:
        chosen = [m for m in chosen if m.where() in options.at]
    if options.sample is not None and options.sample < len(chosen):
        chosen = random.Random(options.seed).sample(chosen, options.sample)
    if options.list:
        for mutation in chosen:
            print(mutation)
        print(f"{len(chosen)} changes")
        return 0
    with tempfile.TemporaryDirectory(prefix="mutate-") as folder:
        copy = Copy(TOP, folder, options.jobs)
        copy.configure(options.preset)
        verdicts = run(copy, chosen, options.judge or DEFAULT_JUDGES, options.limit)
    share, text = summary(verdicts)
    print(text)
    return 0 if share >= options.demand else 1


if __name__ == "__main__":
    sys.exit(main())
