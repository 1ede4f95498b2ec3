"""Help, completion and man pages name the same commands and options, and mandoc finds no fault.
Arguments: the folder of the pages."""

import os
import re
import subprocess
import sys
import tempfile
import textwrap
import unittest

from lib import tap
from lib.conductor import muster

PAGES = sys.argv.pop(1)


def options_of(text):
    return set(re.findall(r'^ *(?:-[a-zA-Z], )?(--[a-z-]+)', text, re.M))


def commands():
    listed = muster('--help').stdout.split('Commands:\n')[1].split('\n\n')[0]
    return [line.split()[0] for line in listed.split('\n')]


def page(name):
    shown = subprocess.run(['mandoc', '-T', 'utf8', '-O', 'width=200', os.path.join(PAGES, name)],
                           capture_output=True, text=True, check=True).stdout
    return re.sub('.\b', '', shown)


class Man(unittest.TestCase):
    def test_each_command_has_a_page_and_each_page_a_command(self):
        pages = {name for name in os.listdir(PAGES) if re.fullmatch(r'muster-.*\.1', name)}
        self.assertEqual(pages, {f'muster-{name}.1' for name in commands()})

    def test_page_help_and_completion_name_the_same_options(self):
        completion = muster('completion', 'bash').stdout.split('_muster_options()')[1]
        for name in commands():
            with self.subTest(command=name):
                helped = options_of(muster(name, '--help').stdout.split('Options:')[1])
                told = options_of(page(f'muster-{name}.1').split('\nOPTIONS\n')[1].split('\nEXAMPLES\n')[0])
                offered = re.search(rf'^    {name}(?:\|[a-z]+)?\) _muster_offer (.*) ;;$', completion, re.M)
                self.assertTrue(helped)
                self.assertEqual(told, helped)
                self.assertEqual(set(offered.group(1).split()), helped)

    def test_the_command_help_prints_what_the_option_does(self):
        self.assertEqual(muster('help').stdout, muster('--help').stdout)
        for name in commands():
            self.assertEqual(muster('help', name).stdout, muster(name, '--help').stdout)
        wrong = muster('help', 'lst')
        self.assertEqual((wrong.returncode, wrong.stderr),
                         (2, 'muster: unknown command "lst": did you mean "list"?\n'))

    def test_the_page_of_the_program_lists_every_command(self):
        shown = page('muster.1').split('\nCOMMANDS\n')[1].split('\nOPTIONS\n')[0]
        listed = re.findall(r'^ {5,7}([a-z-]+)', shown, re.M)
        self.assertEqual(listed, commands())

    def test_the_page_of_settings_tells_their_bounds(self):
        shown = re.sub(r'\s+', ' ', page('muster.conf.5'))
        for bounds in ('From 100ms to 1h.', 'From 64KiB to 1GiB.', 'From 1 to 16000000 agents.'):
            self.assertIn(bounds, shown)

    def test_the_example_of_settings_is_one_to_take(self):
        example = page('muster.conf.5').split('\nEXAMPLE\n')[1].split('\nDATABASES ')[0]
        with tempfile.NamedTemporaryFile('w', encoding='utf-8', suffix='.conf') as conf:
            conf.write(textwrap.dedent(example))
            conf.flush()
            checked = muster('config', 'check', '--config', conf.name)
        self.assertIn('[policy network]', example)
        self.assertEqual((checked.returncode, checked.stdout, checked.stderr), (0, '', ''))

    def test_no_markup_is_left_in_a_page(self):
        for name in sorted(os.listdir(PAGES)):
            if re.search(r'\.[1-8]$', name):
                with self.subTest(page=name):
                    self.assertEqual(re.findall(r'`.*|(?<![A-Za-z0-9])_[A-Z]+_|_[A-Z]+_(?![A-Za-z0-9])', page(name)), [])

    def test_mandoc_finds_no_fault(self):
        for name in sorted(os.listdir(PAGES)):
            if re.search(r'\.[1-8]$', name):
                with self.subTest(page=name):
                    lint = subprocess.run(['mandoc', '-T', 'lint', '-W', 'warning', os.path.join(PAGES, name)],
                                          capture_output=True, text=True, check=False)
                    self.assertEqual((lint.returncode, lint.stdout), (0, ''))


if __name__ == '__main__':
    tap.main()
