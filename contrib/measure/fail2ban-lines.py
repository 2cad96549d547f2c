#!/usr/bin/env python3
"""Measures how many of the lines that fail2ban annotates for its own tests Portcullis finds, and with which address.

usage: fail2ban-lines.py LOG [PROGRAM [ARGUMENT...]]

LOG is a file of fail2ban's `tests/files/logs`, which its packages bring along; in it `# failJSON: {"match": true, "host":
"192.0.2.7"}` says what the next line is. PROGRAM is `portcullis` unless given, and the arguments are for its `match`.
Lines that are not found are listed. The exit status is 1 if a line names another address than the annotation.
"""
import collections
import ipaddress
import json
import subprocess
import sys

MARK = "# failJSON:"


def address(text):
    try:
        found = ipaddress.ip_address(text or "")
    except ValueError:  # A host name.
        return None
    return getattr(found, "ipv4_mapped", None) or found


def annotated(lines):
    note = None
    for number, line in enumerate(lines, 1):
        if line.startswith(MARK):
            note = json.loads(line[len(MARK):])
        elif line and not line.startswith("#") and note:
            yield number, note
            note = None


def judged(note, found):
    is_offence = found["effect"] == "offence"
    if not note["match"]:
        return "counts, and not for fail2ban" if is_offence else "left alone, as by fail2ban"
    named, wanted = address(found["address"]), address(note.get("host"))
    if named and wanted and named != wanted:
        return "ANOTHER ADDRESS"
    if is_offence:
        return "found" if named else "counts for whom its connection names"
    return "known, and does not count" if found["rule"] else "unknown"


def main(log, program="portcullis", *arguments):
    with open(log, encoding="utf-8", errors="replace", newline="\n") as file:
        lines = file.read().split("\n")
    ran = subprocess.run([program, "match", "--json", "--all", *arguments, log], stdout=subprocess.PIPE, text=True)
    matches = {found["line"]: found for found in map(json.loads, ran.stdout.splitlines())}
    if not matches:
        sys.exit(f"{program} printed nothing about {log}")
    tally = collections.Counter()
    for number, note in annotated(lines):
        found = matches.get(number, {"effect": None, "address": None, "rule": None})
        judgement = judged(note, found)
        tally[judgement] += 1
        if note["match"] and judgement != "found":
            print(f"{log}:{number}: {judgement} ({found['rule']})")
    for judgement, times in tally.most_common():
        print(f"{times:5} {judgement}")
    return 1 if tally["ANOTHER ADDRESS"] else 0


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
