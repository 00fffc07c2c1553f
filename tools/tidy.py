#!/usr/bin/env python3
"""Checks of the tree that neither compiler nor formatter makes: who includes whom, sizes of files
and functions, names and marks of functions that may suspend, tests that must exist, leftovers.

    tools/tidy.py [root]      prints `file:line: what is wrong`, exits 1 if there was anything

Layers are in tools/layers.txt, limits that are passed today in tools/tidy_exceptions.txt. Every rule
has a case in tests/tidy/test_tidy.py.
"""
import re
import subprocess
import sys
from pathlib import Path

LINE_MAX = 100
FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = {".c": 600, ".h": 250}

C_SUFFIXES = {".c", ".h", ".S"}
TEXT_SUFFIXES = C_SUFFIXES | {".cpp", ".py", ".sh", ".cmake", ".txt", ".md", ".map", ".in", ".json", ".yml"}
CODE_SUFFIXES = C_SUFFIXES | {".cpp", ".py", ".sh", ".cmake"}  # these have a line length
CODE_FOLDERS = ("include", "io", "engine", "tests", "bench", "tools", "examples")
LEFTOVER = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")

# In io and engine. What replaces it is the second half of the message. identity.c only asks which
# thread this is.
BANNED = [
    (r"#\s*include\s*<(pthread|threads|stdatomic|signal)\.h>", "no threads, atomics or signals: N loops on N threads share nothing"),
    (r"\b(_Thread_local|__thread|_Atomic|__atomic_\w+|__sync_\w+)\b", "no thread-local storage or atomics: state belongs to a loop"),
    (r"\balloca\s*\(", "no alloca: stacks of coroutines are small; use an arena or a fixed array"),
    (r"\b(strcpy|strcat|sprintf|vsprintf|gets)\s*\(", "no unbounded copies: snprintf or memcpy with a checked size"),
]
MAY_BE_BANNED = ("io/base/ban.h", "io/identity.c")


class Tree:
    """The files under `root` and what is wrong with them."""

    def __init__(self, root):
        self.root = Path(root)
        self.findings = []
        self.texts = {}
        for name in sorted(self.list_files()):
            path = self.root / name
            if path.suffix in TEXT_SUFFIXES or path.name in ("CMakeLists.txt", "check", "demo", "run"):
                self.texts[name] = path.read_bytes().decode("utf-8", "replace")

    def list_files(self):
        """What git tracks or would track; without git, everything but build/."""
        listing = subprocess.run(
            ["git", "-C", str(self.root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            capture_output=True, check=False)
        if listing.returncode == 0:
            names = listing.stdout.decode().split("\0")
        else:
            names = [str(p.relative_to(self.root)) for p in self.root.rglob("*")]
        return [n for n in names if n and not n.startswith("build/") and (self.root / n).is_file()]

    def report(self, name, line, message):
        self.findings.append((name, line, message))

    def has_folder_file(self, folder):
        return any(n.startswith(folder + "/") for n in self.texts)

    def c_files(self, *folders):
        for name, text in self.texts.items():
            if name.startswith(tuple(f + "/" for f in folders)) and Path(name).suffix in (".c", ".h"):
                yield name, text


# ---- Reading C without a parser -----------------------------------------------------------------

def blank_out(match):
    """Keep line breaks, so that line numbers stay right."""
    return re.sub(r"[^\n]", " ", match.group(0))


def without_comments(text):
    pattern = r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\''

    def replace(match):
        blank = blank_out(match)
        return blank if match.group(0)[0] == "/" else '"' + blank[1:-1] + '"'
    return re.sub(pattern, replace, text, flags=re.S)


def without_preprocessor(text):
    return re.sub(r"^[ \t]*#(?:[^\n\\]|\\.|\\\n)*", blank_out, text, flags=re.M | re.S)


def statements(text):
    """(line, text, is_definition) of each declaration and function head at file scope."""
    code = without_preprocessor(without_comments(text))
    code = re.sub(r'extern\s+"\s*"\s*\{', blank_out, code)
    depth, start, found = 0, 0, []
    for i, c in enumerate(code):
        if c in ";{" and depth == 0:
            piece = code[start:i]
            if piece.strip():
                line = code.count("\n", 0, start + len(piece) - len(piece.lstrip())) + 1
                found.append((line, " ".join(piece.split()), c == "{"))
            start = i + 1
        if c == "{":
            depth += 1
        elif c == "}" and depth > 0:
            depth -= 1
            if depth == 0:
                start = i + 1
    return found


def function_name(statement):
    """Name of the function that is declared here, or None."""
    plain = re.sub(r"__attribute__\s*\(\((?:[^()]|\([^()]*\))*\)\)|\b[A-Z][A-Z0-9_]*\s*\([^()]*\)", " ", statement)
    if plain.startswith(("typedef", "_Static_assert")) or "=" in plain.split("(")[0]:
        return None
    match = re.search(r"\b([A-Za-z_]\w*)\s*\(", plain)
    if match is None or match.group(1) in ("void", "int", "bool"):
        return None
    return match.group(1)


# ---- Rules --------------------------------------------------------------------------------------

def read_table(tree, name):
    """Rows of a file, without comments."""
    for number, line in enumerate(tree.texts.get(name, "").splitlines(), 1):
        line = line.split("#")[0].strip()
        if line:
            yield number, line


def pattern_to_regex(pattern):
    parts = re.split(r"(\*\*|\*)", pattern)
    return "".join({"**": ".*", "*": "[^/]*"}.get(p, re.escape(p)) for p in parts)


def check_layers(tree):
    layers = []  # (name, regex, names it may include)
    for number, row in read_table(tree, "tools/layers.txt"):
        fields = [f.strip() for f in row.split("|")]
        if len(fields) != 3:
            tree.report("tools/layers.txt", number, "a row is `layer | files | may include`")
            continue
        regex = "|".join(pattern_to_regex(p) for p in fields[1].split())
        layers.append((fields[0], re.compile(regex), set(fields[2].split())))
    known = {name for name, _, _ in layers}
    for name, _, allowed in layers:
        for other in sorted(allowed - known):
            tree.report("tools/layers.txt", 1, f"{name} may include {other}, which is no layer")

    def layer_of(file_name):
        return next(((n, a) for n, r, a in layers if r.fullmatch(file_name)), (None, set()))

    graph = {}
    for name, text in tree.c_files(*CODE_FOLDERS):
        layer, allowed = layer_of(name)
        if layer is None:
            tree.report(name, 1, "belongs to no layer of tools/layers.txt")
            continue
        graph[name] = []
        for number, line in enumerate(text.splitlines(), 1):
            match = re.match(r'\s*#\s*include\s*"([^"]+)"', line)
            if not match:
                continue
            wanted = match.group(1)
            places = (wanted, "include/" + wanted)
            target = next((p for p in places if p in tree.texts), None)
            if target is None:
                tree.report(name, number, f'"{wanted}" is not found from the top folder or include/')
                continue
            graph[name].append(target)
            target_layer, _ = layer_of(target)
            if target_layer not in allowed:
                tree.report(name, number, f"{layer} may not include {target} ({target_layer})")
    check_cycles(tree, graph)


def check_cycles(tree, graph):
    done = set()

    def visit(name, path):
        if name in path:
            tree.report(name, 1, "include cycle: " + " -> ".join(path[path.index(name):] + [name]))
        elif name not in done:
            for target in graph.get(name, []):
                visit(target, path + [name])
            done.add(name)
    for name in graph:
        visit(name, [])


def read_limits(tree):
    """{(limit, file or file:function): (number, line)} from the exceptions file."""
    limits = {}
    for number, row in read_table(tree, "tools/tidy_exceptions.txt"):
        fields = row.split()
        if fields[0] in ("file-lines", "function-lines") and len(fields) == 3 and fields[2].isdigit():
            limits[fields[0], fields[1]] = (int(fields[2]), number)
        elif fields[0] != "codec" or len(fields) != 4:
            tree.report("tools/tidy_exceptions.txt", number, "not understood: " + row)
    return limits


def check_sizes(tree):
    limits = read_limits(tree)

    def measure(kind, key, name, line, size, size_max):
        exception = limits.pop((kind, key), None)
        if exception is not None:
            allowed, row = exception
            if size < allowed:
                tree.report("tools/tidy_exceptions.txt", row,
                            f"{key} has {size} lines now: lower its number" +
                            (", or rather remove it" if size <= size_max else ""))
            size_max = max(allowed, size_max)
        if size > size_max:
            tree.report(name, line, f"{size} lines, at most {size_max}: split it ({kind})")

    for name, text in tree.c_files("io", "engine"):
        size_max = FILE_LINES_MAX[Path(name).suffix]
        measure("file-lines", name, name, 1, text.count("\n"), size_max)
    for name, text in tree.c_files(*CODE_FOLDERS):
        lines = text.splitlines()
        begin = None
        for number, line in enumerate(lines, 1):
            if line == "{":
                begin = number
            elif line.startswith("}") and begin is not None:
                head = " ".join(lines[max(0, begin - 8):begin - 1])
                calls = re.findall(r"\b([A-Za-z_]\w*)\(", re.split(r"[;}]", without_comments(head))[-1])
                function = next((c for c in calls if not c.isupper()), "?")
                measure("function-lines", f"{name}:{function}", name, begin, number - begin + 1,
                        FUNCTION_LINES_MAX)
                begin = None
    for (_, key), (_, row) in limits.items():
        tree.report("tools/tidy_exceptions.txt", row, f"{key} does not exist: remove it")


def check_suspends(tree):
    for name, text in tree.c_files("io", "engine"):
        is_header = name.endswith(".h")
        for line, statement, _ in statements(text):
            function = function_name(statement)
            if function is None:
                continue
            is_marked = re.search(r"\bGY_SUSPENDS\b", statement) is not None
            is_named = "await" in function
            is_static = re.search(r"\bstatic\b", statement) is not None
            if is_named and not is_marked and (is_header or is_static):
                tree.report(name, line, f"{function} has await in its name but no GY_SUSPENDS")
            if is_marked and not is_named and not function.startswith("gyre_"):
                tree.report(name, line, f"{function} may suspend: its name must say await")
            if is_marked and not re.match(r"((static|inline)\s+)*GY_SUSPENDS\b", statement):
                tree.report(name, line, f"{function}: GY_SUSPENDS comes first in the declaration")


def check_text(tree):
    for name, text in tree.texts.items():
        suffix = Path(name).suffix
        is_code = suffix in CODE_SUFFIXES or name in ("tools/check", "tools/demo", ".ci/run")
        if name.startswith("tests/fuzz/corpus/") or name.startswith("tests/golden/"):
            continue
        if text and not text.endswith("\n"):
            tree.report(name, text.count("\n") + 1, "no newline at the end of the file")
        if text.endswith("\n\n"):
            tree.report(name, text.count("\n"), "empty line at the end of the file")
        for number, line in enumerate(text.split("\n"), 1):
            if line != line.rstrip():
                tree.report(name, number, "trailing blanks")
            if is_code and suffix != ".py" and len(line) > LINE_MAX:
                tree.report(name, number, f"{len(line)} columns, at most {LINE_MAX}")
            if "\t" in line and suffix in C_SUFFIXES - {".S"}:
                tree.report(name, number, "tab")
            if name.startswith(CODE_FOLDERS) and LEFTOVER.search(line):
                tree.report(name, number, "leftover mark: do it, or write an issue")


def check_code(tree):
    for name, text in tree.c_files(*CODE_FOLDERS):
        first = text.split("\n", 1)[0]
        if not first.startswith("/* ") or Path(name).name not in first:
            tree.report(name, 1, f"opens with `/* {Path(name).name} - what it is`")
        if name.endswith(".h") and not name.endswith("ban.h"):
            guard = re.search(r"^#ifndef (\w+)\n#define \1$", text, re.M)
            if guard is None:
                tree.report(name, 1, "no include guard")
    for name, text in tree.c_files("io", "engine"):
        code = without_comments(text)
        for number, line in enumerate(code.split("\n"), 1):
            for pattern, message in BANNED:
                if name not in MAY_BE_BANNED and re.search(pattern, line):
                    tree.report(name, number, message)
    for name, text in tree.c_files("engine"):
        includes = re.findall(r'^#\s*include\s*["<]([^">]+)', text, re.M)
        if name.endswith(".c") and includes[-1:] != ["io/base/ban.h"]:
            tree.report(name, 1, 'the last include is "io/base/ban.h", which bans calls past the seam')


def check_tests(tree):
    covered = {}
    for number, row in read_table(tree, "tools/tidy_exceptions.txt"):
        fields = row.split()
        if fields[0] == "codec" and len(fields) == 4:
            covered[fields[1]] = (fields[2], fields[3])
            if f"engine/codec/{fields[1]}.c" not in tree.texts:
                tree.report("tools/tidy_exceptions.txt", number, f"no engine/codec/{fields[1]}.c: remove it")
    for name, _ in tree.c_files("engine/codec"):
        if not name.endswith(".c"):
            continue
        stem = Path(name).stem
        unit, fuzz = covered.get(stem, ("test_" + stem, "fuzz_" + stem))
        for folder, test in (("unit", unit), ("fuzz", fuzz)):
            if test != "-" and f"tests/{folder}/{test}.c" not in tree.texts:
                tree.report(name, 1, f"no tests/{folder}/{test}.c")
    corpus = tree.root / "tests/fuzz/corpus"
    for folder in sorted(corpus.iterdir()) if corpus.is_dir() else []:
        if folder.is_dir() and f"tests/fuzz/{folder.name}.c" not in tree.texts:
            tree.report(f"tests/fuzz/corpus/{folder.name}", 1, "corpus of no fuzz target: nothing reads it")


def check_map(tree):
    text = tree.texts.get("ARCHITECTURE.md")
    if text is None:
        tree.report("ARCHITECTURE.md", 1, "is missing")
        return
    folders = {str(Path(n).parent) for n, _ in tree.c_files("io", "engine")}
    for folder in sorted(folders):
        if folder + "/" not in text and not re.search(re.escape(folder) + r"\b", text):
            tree.report("ARCHITECTURE.md", 1, f"does not say what {folder}/ is")


RULES = (check_layers, check_sizes, check_suspends, check_text, check_code, check_tests, check_map)


def check_tree(root):
    tree = Tree(root)
    for rule in RULES:
        rule(tree)
    return sorted(set(tree.findings))


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent
    findings = check_tree(root)
    for name, line, message in findings:
        print(f"{name}:{line}: {message}")
    print(f"tidy: {len(findings)} finding{'s' if len(findings) != 1 else ''}")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
