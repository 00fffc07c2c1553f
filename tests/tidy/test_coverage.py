#!/usr/bin/env python3
"""tools/coverage.py: what it leaves out and how it adds up two builds."""
import importlib.util
import sys
import unittest
from pathlib import Path

TOOL = Path(__file__).resolve().parents[2] / "tools" / "coverage.py"
spec = importlib.util.spec_from_file_location("coverage", TOOL)
coverage = importlib.util.module_from_spec(spec)
sys.dont_write_bytecode = True
spec.loader.exec_module(coverage)


def source_of(*lines, left_out=()):
    """A file of lines (number, count, branch counts) as each build has counted it."""
    source = coverage.Source.__new__(coverage.Source)
    source.name = "engine/x.c"
    source.left_out = set(left_out)
    source.lines, source.branches, source.checked_branches = {}, {}, {}
    for is_checked, number, count, branches in lines:
        source.add({"lines": [{"line_number": number, "count": count,
                               "branches": [{"count": b} for b in branches]}]}, is_checked)
    return source


class Coverage(unittest.TestCase):
    def test_asserts_are_left_out_to_their_last_line(self):
        text = "a();\ngy_assert(b(c,\n          d));\ne();\ngy_bug(\"no\");\nmy_gy_assert(1);\n"
        self.assertEqual(coverage.lines_left_out(text), {2, 3, 5})

    def test_counts_of_both_builds_add_up(self):
        source = source_of((False, 1, 0, [0, 5]), (True, 1, 3, [2, 0]))
        self.assertEqual(source.totals(), (1, 1, 2, 2))
        self.assertEqual(list(source.holes()), [])

    def test_what_only_the_checker_has_does_not_count(self):
        source = source_of((False, 1, 1, []), (True, 1, 1, [0, 1]), (True, 2, 0, [0, 0]))
        self.assertEqual(source.totals(), (1, 1, 0, 0))

    def test_a_mark_takes_one_of_its_two_branches_away(self):
        whole = source_of((False, 1, 1, [1, 0]), (True, 1, 9, [0, 9, 4, 5]))
        self.assertEqual(whole.totals(), (1, 1, 2, 2))
        lacking = source_of((False, 1, 1, [1, 0]), (True, 1, 9, [0, 9, 0, 9]))
        self.assertEqual(lacking.totals(), (1, 1, 2, 1))

    def test_holes_are_told(self):
        source = source_of((False, 1, 0, [0, 0]), (False, 2, 1, [1, 0, 1]), (False, 3, 0, []),
                           left_out=[3])
        self.assertEqual(list(source.holes()), [(1, "never ran"), (2, "branch 1 of 3")])


if __name__ == "__main__":
    unittest.main()
