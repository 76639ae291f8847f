#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Every test that docs/http2-conformance.md names in its last column exists.

    check_conformance.py DOCUMENT FOLDER...
"""
import pathlib
import re
import sys

document, *folders = sys.argv[1:]
tests = "\n".join(path.read_text() for folder in folders for path in pathlib.Path(folder).glob("test_*.c"))
named = missing = 0
for number, line in enumerate(pathlib.Path(document).read_text().splitlines(), 1):
    shown_by = line.rstrip("| ").rpartition(" | ")[2] if line.startswith("|") else ""
    for name in re.findall(r"`([^`]+)`", shown_by):
        if "/" in name or name.endswith("()"):
            continue
        named += 1
        is_row = f'"{name}"' in tests.replace("\"\n     \"", "")
        if not (is_row or re.search(rf"^static void {re.escape(name)}\(", tests, re.M)):
            missing += 1
            print(f"{document}:{number}: there is no test {name}", file=sys.stderr)
print(f"{named} names of tests, {missing} missing")
sys.exit(missing > 0 or named < 60)
