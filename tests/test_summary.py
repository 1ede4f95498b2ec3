#!/usr/bin/env python3
"""The last line of ./dev test counts what happened."""

import io
import os
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import summary           # noqa: E402
from lib import tap      # noqa: E402


class Summary(unittest.TestCase):
    def told(self, *tests):
        total, out = summary.Sum(), io.StringIO()
        for result, stdout in tests:
            total.add('plain', {'name': 'muster:unit / map', 'result': result, 'stdout': stdout,
                                'returncode': 0 if result == 'OK' else 1})
        total.tell(out)
        return out.getvalue().rstrip('\n').split('\n')

    def test_single_cases_are_counted(self):
        told = self.told(('OK', '1..3\nok 1 - a\nok 2 - b\n# ok: no case\nok 3 - c # SKIP no cat\n'))
        self.assertEqual(told, ['SKIPPED plain: unit / map: c: no cat', '2 passed, 0 failed, 1 skipped'])

    def test_a_failed_case_is_named_with_its_output(self):
        told = self.told(('FAIL', '1..2\nok 1 - a\nnot ok 2 - b\n# 1 != 2\n'))
        self.assertEqual(told[0], 'FAILED plain: unit / map: b')
        self.assertIn('    # 1 != 2', told)
        self.assertEqual(told[-2:], ['FAILED plain: unit / map: b', '1 passed, 1 failed, 0 skipped'])

    def test_a_crash_after_good_cases_is_a_failure(self):
        told = self.told(('ERROR', '1..3\nok 1 - a\n'))
        self.assertEqual(told[-2:], ['FAILED plain: unit / map: error (exit 1)',
                                     '1 passed, 1 failed, 0 skipped'])

    def test_a_timeout_is_a_failure(self):
        self.assertEqual(self.told(('TIMEOUT', ''))[-1], '0 passed, 1 failed, 0 skipped')

    def test_a_program_without_tap_is_one_case(self):
        self.assertEqual(self.told(('OK', 'hello\n'), ('FAIL', 'bad\n'), ('SKIP', 'no clang\n'))[-1],
                         '1 passed, 1 failed, 1 skipped')

    def test_a_tree_that_was_not_run_is_a_failure(self):
        stdout, sys.stdout = sys.stdout, io.StringIO()
        try:
            code = summary.main(['asan=/nowhere/testlog.json'])
            told = sys.stdout.getvalue()
        finally:
            sys.stdout = stdout
        self.assertEqual(code, 1)
        self.assertTrue(told.endswith('0 passed, 1 failed, 0 skipped\n'))


if __name__ == '__main__':
    tap.main()
