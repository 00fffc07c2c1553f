#!/usr/bin/env python3
"""Tests of tools/tidy.py: a small clean tree gives no finding; each rule finds the one thing that a
case breaks in it, and nothing else."""
import importlib.util
import sys
import tempfile
import unittest
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent.parent
sys.dont_write_bytecode = True
spec = importlib.util.spec_from_file_location("tidy", TOP / "tools/tidy.py")
tidy = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tidy)

CODEC_H = """/* block.h - blocks. */
#ifndef GY_BLOCK_H
#define GY_BLOCK_H

#include "gyre/base.h"

int gy_block_size(const char *block);

#endif
"""
CODEC_C = """/* block.c - blocks. */
#include "engine/codec/block.h"

#include <string.h>

#include "io/base/ban.h"

int
gy_block_size(const char *block)
{
    return block[0];
}
"""
FILE_H = """/* file.h - files. */
#ifndef GY_FILE_H
#define GY_FILE_H

#include "gyre/base.h"

GY_SUSPENDS int gy_file_await_read(int a,
                                   int b);
int gy_file_size(void);

#endif
"""
CLEAN = {
    "ARCHITECTURE.md": "engine/codec/, engine/disk/, io/ and io/base/\n",
    "include/gyre/base.h": "/* gyre/base.h - base. */\n#ifndef A\n#define A\n\n#endif\n",
    "io/base/ban.h": "/* ban.h - bans. */\n",
    "io/file.h": FILE_H,
    "engine/codec/block.h": CODEC_H,
    "engine/codec/block.c": CODEC_C,
    "engine/disk/wal.h": "/* wal.h - log. */\n#ifndef W\n#define W\n\n#include \"io/file.h\"\n\n#endif\n",
    "tests/unit/test_block.c": "/* test_block.c - tests. */\n",
    "tests/fuzz/fuzz_block.c": "/* fuzz_block.c - fuzzes. */\n",
    "tools/layers.txt": (TOP / "tools/layers.txt").read_text(),
    "tools/tidy_exceptions.txt": "# none\n",
}


def function_of(lines):
    return "\nint\nlong_one(int a)\n{\n" + "    a++;\n" * (lines - 3) + "    return a;\n}\n"


class TidyTest(unittest.TestCase):
    def findings(self, **changes):
        """What tidy says of the clean tree with some files replaced (None = removed)."""
        files = dict(CLEAN)
        files.update(changes.pop("files", {}))
        with tempfile.TemporaryDirectory() as folder:
            for name, text in files.items():
                if text is not None:
                    path = Path(folder) / name
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_text(text)
            return [f"{name}:{line}: {message}" for name, line, message in tidy.check_tree(folder)]

    def one(self, files, *parts):
        found = self.findings(files=files)
        self.assertEqual(len(found), 1, found)
        for part in parts:
            self.assertIn(part, found[0])

    def test_clean_tree_has_no_finding(self):
        self.assertEqual(self.findings(), [])

    def test_upward_include(self):
        text = CODEC_C.replace("<string.h>", '"engine/disk/wal.h"')
        self.one({"engine/codec/block.c": text}, "engine/codec/block.c:4:", "codec may not include")

    def test_unknown_include(self):
        self.one({"engine/codec/block.c": CODEC_C.replace("<string.h>", '"gone.h"')}, "gone.h", "not found")

    def test_file_of_no_layer(self):
        self.one({"tools/loose.c": "/* loose.c - lost. */\n"}, "tools/loose.c", "no layer")

    def test_include_cycle(self):
        text = CODEC_H.replace('"gyre/base.h"', '"engine/codec/key.h"')
        key = text.replace("block", "key").replace("engine/codec/key.h", "engine/codec/block.h")
        self.one({"engine/codec/block.h": text, "engine/codec/key.h": key}, "include cycle")

    def test_long_file(self):
        self.one({"engine/codec/block.c": CODEC_C + "\n" + "int a;\n" * 600}, "at most 600")

    def test_long_function_and_its_exception(self):
        long = CODEC_C + function_of(80)
        self.one({"engine/codec/block.c": long}, "80 lines, at most 70")
        row = "function-lines engine/codec/block.c:long_one "
        passes = {"engine/codec/block.c": long, "tools/tidy_exceptions.txt": row + "80\n"}
        self.assertEqual(self.findings(files=passes), [])
        self.one({**passes, "tools/tidy_exceptions.txt": row + "79\n"}, "at most 79")
        self.one({**passes, "tools/tidy_exceptions.txt": row + "90\n"}, "lower its number")
        self.one({"tools/tidy_exceptions.txt": row + "80\n"}, "does not exist")

    def test_name_and_mark_of_suspending_functions(self):
        self.one({"io/file.h": FILE_H.replace("GY_SUSPENDS ", "")}, "io/file.h:7:", "no GY_SUSPENDS")
        self.one({"io/file.h": FILE_H.replace("int gy_file_size", "GY_SUSPENDS int gy_file_size")},
                 "io/file.h:9:", "must say await")
        self.one({"io/file.h": FILE_H.replace("GY_SUSPENDS int", "int GY_SUSPENDS")}, "comes first")
        static = "\nstatic int\nawait_it(void)\n{\n    return 0;\n}\n"
        self.one({"engine/codec/block.c": CODEC_C + static}, "await_it", "no GY_SUSPENDS")

    def test_marks_in_comments_and_strings_do_not_count(self):
        text = FILE_H.replace("int gy_file_size", "/* gy_x_await_y(); GY_SUSPENDS */\nint gy_file_size")
        self.assertEqual(self.findings(files={"io/file.h": text}), [])

    def test_text_rules(self):
        def broken(old, new):
            return {"engine/codec/block.c": CODEC_C.replace(old, new)}
        self.one(broken("block[0];", "block[0]; "), "trailing blanks")
        self.one(broken("    return", "\treturn"), "tab")
        self.one(broken("- blocks.", "- blocks. " + "x" * 100), "columns")
        self.one(broken("- blocks.", "- blocks. TO" + "DO"), "leftover")
        self.one({"engine/codec/block.c": CODEC_C[:-1]}, "no newline")
        self.one({"engine/codec/block.c": CODEC_C + "\n"}, "empty line at the end")

    def test_code_rules(self):
        self.one({"engine/codec/block.c": CODEC_C.replace('#include "io/base/ban.h"\n', "")}, "ban.h")
        self.one({"engine/codec/block.c": CODEC_C.replace("<string.h>", "<pthread.h>")}, "no threads")
        self.one({"engine/codec/block.c": CODEC_C.replace("/* block.c - blocks. */", "/* x */")}, "opens with")
        self.one({"io/file.h": FILE_H.replace("#define GY_FILE_H\n", "")}, "no include guard")

    def test_codec_has_tests(self):
        self.one({"tests/unit/test_block.c": None}, "no tests/unit/test_block.c")
        self.one({"tests/fuzz/fuzz_block.c": None}, "no tests/fuzz/fuzz_block.c")
        covered = {"tests/fuzz/fuzz_block.c": None,
                   "tools/tidy_exceptions.txt": "codec block test_block -\n"}
        self.assertEqual(self.findings(files=covered), [])
        self.one({"tests/fuzz/corpus/fuzz_blok/a.txt": ""}, "corpus of no fuzz target")

    def test_folder_is_on_the_map(self):
        self.one({"ARCHITECTURE.md": "engine/codec/, io/ and io/base/\n"}, "engine/disk/")
        self.one({"ARCHITECTURE.md": None}, "is missing")


if __name__ == "__main__":
    unittest.main()
