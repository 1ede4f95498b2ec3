#!/usr/bin/env python3
"""./dev in a folder of its own, with programs that only write down how they were called."""

import os
import pty
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

from lib import tap      # noqa: E402

RECORD = '#!/bin/sh\necho "$(basename "$0") $*" >>"$CALLS"\n'


class Dev(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.dir)
        shutil.copy(os.path.join(HERE, '..', 'dev'), self.dir)
        self.calls = os.path.join(self.dir, 'calls')
        self.bin = os.path.join(self.dir, 'bin')
        os.mkdir(self.bin)
        for name in ('apt-get', 'meson', 'ninja'):
            self.program(name, RECORD)
        self.program('sudo', '#!/bin/sh\nexec "$@"\n')
        self.program('id', '#!/bin/sh\necho 0\n')
        self.installed('meson')

    def program(self, name, text):
        path = os.path.join(self.bin, name)
        with open(path, 'w', encoding='utf-8') as file:
            file.write(text)
        os.chmod(path, 0o755)

    def installed(self, *missing):
        """Every package is there but @missing."""
        self.program('dpkg-query', '#!/bin/sh\nfor last; do :; done\ncase $last in\n'
                     + ''.join(f'{m}) exit 1 ;;\n' for m in missing)
                     + 'esac\nprintf installed\n')

    def dev(self, *args, **more):
        env = dict(os.environ, PATH=self.bin + ':/usr/bin:/bin', CALLS=self.calls)
        more = {'stdin': subprocess.DEVNULL, **more}
        return subprocess.run([os.path.join(self.dir, 'dev'), *args], env=env, text=True, timeout=20,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, **more)

    def called(self):
        if not os.path.exists(self.calls):
            return []
        with open(self.calls, encoding='utf-8') as file:
            return file.read().splitlines()

    def test_help_names_every_command(self):
        told = self.dev('--help')
        self.assertEqual(told.returncode, 0)
        for word in ('demo', 'build', 'test', 'check', 'fuzz SECONDS', 'soak', 'bench', '--yes'):
            self.assertIn(word, told.stdout)

    def test_what_it_does_not_know_is_an_error(self):
        for args, why in ((['tset'], 'unknown command "tset"'), (['build', '--fast'], 'unknown option --fast'),
                          (['build', 'x'], '"x" is one word too many'), (['fuzz'], 'fuzz SECONDS'),
                          (['fuzz', '1m'], 'fuzz SECONDS'), (['fuzz', '0'], 'fuzz SECONDS'), ([], 'Usage')):
            told = self.dev(*args)
            self.assertNotEqual(told.returncode, 0)
            self.assertIn(why, told.stdout)
        self.assertEqual(self.called(), [])

    def test_without_a_terminal_it_installs_what_is_missing_and_only_that(self):
        self.assertEqual(self.dev('build').returncode, 0)
        self.assertEqual(self.called(), ['apt-get -q update',
                                         'apt-get -q -y install --no-install-recommends meson',
                                         'meson setup build', 'ninja -C build'])

    def test_what_is_there_is_not_installed(self):
        self.installed()
        self.assertEqual(self.dev('build').returncode, 0)
        self.assertEqual(self.called(), ['meson setup build', 'ninja -C build'])

    def test_a_failed_installation_ends_it(self):
        self.program('apt-get', '#!/bin/sh\nexit 100\n')
        self.assertNotEqual(self.dev('build').returncode, 0)
        self.assertEqual(self.called(), [])

    def test_a_user_needs_sudo(self):
        self.program('id', '#!/bin/sh\necho 1000\n')
        self.assertEqual(self.dev('build').returncode, 0)
        self.assertIn('apt-get -q update', self.called())
        if os.path.exists('/usr/bin/sudo') or os.path.exists('/bin/sudo'):
            return
        os.unlink(os.path.join(self.bin, 'sudo'))
        told = self.dev('build')
        self.assertEqual(told.returncode, 1)
        self.assertIn('run as root, or install by hand: meson', told.stdout)

    def on_terminal(self, answer, *args):
        ours, theirs = pty.openpty()
        try:
            os.write(ours, answer.encode() + b'\n')
            return self.dev('build', *args, stdin=theirs)
        finally:
            os.close(theirs)
            os.close(ours)

    def test_on_a_terminal_it_asks(self):
        told = self.on_terminal('n')
        self.assertIn('packages to install: meson', told.stdout)
        self.assertEqual(told.returncode, 1)
        self.assertEqual(self.called(), [])
        self.assertEqual(self.on_terminal('y').returncode, 0)
        self.assertIn('apt-get -q update', self.called())

    def test_yes_asks_nothing(self):
        self.assertEqual(self.on_terminal('n', '--yes').returncode, 0)
        self.assertIn('apt-get -q update', self.called())

    def test_test_ends_with_the_sum_and_fails_with_it(self):
        self.installed()
        self.program('python3', '#!/bin/sh\necho "1 passed, 1 failed, 0 skipped"\nexit 1\n')
        told = self.dev('test')
        self.assertEqual(told.stdout.splitlines()[-1], '1 passed, 1 failed, 0 skipped')
        self.assertEqual(told.returncode, 1)
        for tree in ('build', 'build-asan', 'build-tsan', 'build-fuzz'):
            self.assertTrue(any(f'meson test -C {tree} ' in call for call in self.called()), tree)

    def test_bench_hands_on_that_it_is_to_be_quick(self):
        self.installed()
        os.mkdir(os.path.join(self.dir, 'bench'))
        self.program('../bench/run.py', RECORD)
        for words, handed_on in ((['bench'], 'run.py '), (['bench', 'quick'], 'run.py --quick')):
            self.assertEqual(self.dev(*words).returncode, 0)
            self.assertEqual(self.called()[-1], handed_on)
        self.assertNotEqual(self.dev('bench', 'slow').returncode, 0)


if __name__ == '__main__':
    tap.main()
