#!/usr/bin/env python3
"""tools/ctest_summary.py results.xml - what tools/check wants to know of a ctest run.

Reads ctest's --output-junit file. Says of each skipped test why it was skipped (the last line that
it printed), then prints `passed failed skipped` as the last line.
"""
import sys
import xml.etree.ElementTree as ElementTree


def main():
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    for case in ElementTree.parse(sys.argv[1]).getroot().iter("testcase"):
        if case.find("failure") is not None or case.get("status") == "fail":
            counts["failed"] += 1
        elif case.find("skipped") is not None or case.get("status") in ("notrun", "disabled"):
            # A program that is missing is "notrun" as well, and no skip.
            skipped = case.find("skipped")
            reason = skipped.get("message", "") if skipped is not None else ""
            if "SKIP_RETURN_CODE" in reason or case.get("status") == "disabled":
                lines = (case.findtext("system-out") or "").strip().splitlines()
                print(f"SKIPPED: {case.get('name')}: {lines[-1].removeprefix('SKIP: ') if lines else 'no reason given'}")
                counts["skipped"] += 1
            else:
                print(f"FAILED: {case.get('name')}: did not run: {reason}")
                counts["failed"] += 1
        else:
            counts["passed"] += 1
    print(counts["passed"], counts["failed"], counts["skipped"])


if __name__ == "__main__":
    main()
