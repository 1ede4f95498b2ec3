#!/usr/bin/env python3
"""Adds up test logs of Meson.

    summary.py LABEL=TESTLOG.json...

Prints each failure with the end of its output, each skip with its reason, and as its last line
`N passed, N failed, N skipped`, counted in single cases: the lines of a TAP program, or the program
where it tells none. Exits with 1 when anything failed, or when there was nothing to run."""

import json
import re
import sys

CASE = re.compile(r'^(not )?ok\b(?:\s+\d+)?(?:\s+-)?\s*(.*?)(?:\s+#\s*(SKIP|TODO)\b\s*(.*))?$', re.I)
END_LINES = 40


class Sum:
    def __init__(self):
        self.passed = 0
        self.failed = []   # (case, output)
        self.skipped = []  # (case, reason)

    def add(self, label, test):
        """Adds one program of a log."""
        name = f'{label}: {test["name"].split(":", 1)[-1]}'
        output = test.get('stdout', '') + test.get('stderr', '')
        cases = [m for m in map(CASE.match, test.get('stdout', '').split('\n')) if m]
        before = len(self.failed)
        for bad, case, word, reason in (m.groups() for m in cases):
            if (word or '').upper() == 'SKIP':
                self.skipped.append((f'{name}: {case}', reason or 'no reason given'))
            elif bad:
                self.failed.append((f'{name}: {case}', output))
            else:
                self.passed += 1
        result = test['result']
        if result in ('OK', 'EXPECTEDFAIL'):
            self.passed += not cases
        elif result == 'SKIP':
            if not cases:
                self.skipped.append((name, output.strip() or 'no reason given'))
        elif len(self.failed) == before:  # a crash, a timeout, a leak at the end
            code = test.get('returncode')
            self.failed.append((f'{name}: {result.lower()} (exit {code})', output))

    def tell(self, out):
        shown = set()
        for case, output in self.failed:
            print(f'FAILED {case}', file=out)
            if output not in shown:
                shown.add(output)
                for line in output.rstrip().split('\n')[-END_LINES:]:
                    print(f'    {line}', file=out)
        for case, reason in self.skipped:
            print(f'SKIPPED {case}: {reason}', file=out)
        for case, _ in self.failed:  # once more, where it is seen
            print(f'FAILED {case}', file=out)
        print(f'{self.passed} passed, {len(self.failed)} failed, {len(self.skipped)} skipped', file=out)


def main(logs):
    total = Sum()
    for log in logs:
        label, path = log.split('=', 1)
        try:
            with open(path, encoding='utf-8') as file:
                for line in file:
                    total.add(label, json.loads(line))
        except FileNotFoundError:
            total.failed.append((f'{label}: no test was run', ''))
    total.tell(sys.stdout)
    return 1 if total.failed or not total.passed else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
