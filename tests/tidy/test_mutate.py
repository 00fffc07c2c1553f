#!/usr/bin/env python3
"""Tests of tools/mutate.py: which changes it makes of a line, and that it tells a change that is
noticed from one that is not, on a tree of one file."""
import importlib.util
import io
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent.parent
sys.dont_write_bytecode = True
spec = importlib.util.spec_from_file_location("mutate", TOP / "tools/mutate.py")
mutate = importlib.util.module_from_spec(spec)
spec.loader.exec_module(mutate)

SOURCE = """/* half.c - half of a number. */

/* Is it a < b && so on? */
int
half(int number)
{
    const int odd = number % 2;
    int unused = 0;

    if (number < 0) {
        return -1;
    }
    unused += 1;
    number -= odd;
    return number / 2;
}
"""
TEST = """extern int half(int number);

int
main(void)
{
    return half(9) == 4 && half(-9) == -1 && half(0) == 0 ? 0 : 1;
}
"""
TREE = {
    "engine/codec/half.c": SOURCE,
    "tests/unit/test_half.c": TEST,
    "CMakeLists.txt": """cmake_minimum_required(VERSION 3.25)
project(half LANGUAGES C)
add_library(gyre_checked STATIC engine/codec/half.c)
add_executable(test_half tests/unit/test_half.c)
target_link_libraries(test_half PRIVATE gyre_checked)
""",
    "CMakePresets.json": """{"version": 6, "configurePresets": [{"name": "release",
"generator": "Ninja", "cacheVariables": {"CMAKE_BUILD_TYPE": "Release"}}]}
""",
}


class LineTest(unittest.TestCase):
    def changes(self, line, is_fresh=True):
        return {new.strip() for _, new in mutate.of_line(line, is_fresh)}

    def test_condition(self):
        self.assertEqual(self.changes("    if (a < b && c) {"), {
            "if (a <= b && c) {", "if (a < b || c) {", "if (!(a < b && c)) {",
            "if (0 && (a < b && c)) {", "if (1 || (a < b && c)) {"})

    def test_equality_is_not_negated_twice(self):
        self.assertEqual(self.changes("    while (a != b) {"), {"while (a == b) {"})

    def test_returns(self):
        self.assertEqual(self.changes("        return status;"), {"return GYRE_OK;"})
        self.assertEqual(self.changes("        return GYRE_CORRUPT;"), {"return GYRE_OK;"})
        self.assertEqual(self.changes("        return true;"), {"return false;"})
        self.assertEqual(self.changes("        return GYRE_OK;"), set())

    def test_arithmetic(self):
        self.assertEqual(self.changes("    const int c = gy_min_u64(a + 1, b);"), {
            "const int c = gy_max_u64(a + 1, b);", "const int c = gy_min_u64(a - 1, b);",
            "const int c = gy_min_u64(a, b);"})

    def test_statement(self):
        self.assertEqual(self.changes("    wake(waiter);"), {";"})
        self.assertEqual(self.changes("    wal->end = end;"), {";"})

    def test_left_alone(self):
        for line in ("    struct gy_frame frame;", "    gy_assert(a < b);", "    continue_(a,",
                     '    fail("a < b && c",', "    /* a < b */", "    case A:"):
            self.assertEqual(self.changes(line), set(), line)
        self.assertEqual(self.changes("    b);", is_fresh=False), set())

    def test_only_in_functions(self):
        found = mutate.of_file("half.c", SOURCE)
        self.assertEqual({m.number for m in found}, {10, 13, 14})
        self.assertEqual({m.function for m in found}, {"half"})


class RunTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.top = Path(self.folder.name) / "tree"
        for name, text in TREE.items():
            (self.top / name).parent.mkdir(parents=True, exist_ok=True)
            (self.top / name).write_text(text)
        subprocess.run(["git", "init", "-q", str(self.top)], check=True)

    def test_verdicts(self):
        chosen = mutate.select(self.top, ["engine/codec/half.c"])
        copy = mutate.Copy(self.top, Path(self.folder.name) / "copy", 1)
        copy.configure("release")
        verdicts = mutate.run(copy, chosen, [], 10, io.StringIO())
        by = {(m.number, m.kind): verdict for m, verdict in zip(chosen, verdicts)}
        self.assertEqual(by[10, "< -> <="], "killed")
        self.assertEqual(by[10, "never"], "killed")
        self.assertEqual(by[13, "drop statement"], "equal") # the compiler had left it out
        self.assertEqual(by[14, "drop statement"], "survived") # 9 / 2 rounds down anyway
        self.assertEqual((copy.top / "engine/codec/half.c").read_text(), SOURCE)

    def test_share(self):
        share, text = mutate.summary(["killed", "killed", "killed", "survived", "equal"])
        self.assertEqual(share, 75)
        self.assertIn("3 killed, 1 survived, 1 equal, 0 did not compile", text)

    def test_judge_that_hangs(self):
        self.assertEqual(mutate.run_judge(["sleep", "20"], 0.2, self.folder.name), "no end")
        self.assertEqual(mutate.run_judge(["false"], 5, self.folder.name), "exit 1")
        self.assertIsNone(mutate.run_judge(["true"], 5, self.folder.name))


if __name__ == "__main__":
    unittest.main()
