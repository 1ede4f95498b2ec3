"""What is installed is enough: the example is built against a copy of it by pkg-config alone."""

import glob
import os
import re
import shutil
import signal
import subprocess
import tempfile
import unittest

from lib import tap, wait
from lib.conductor import Conductor

BUILD, SOURCE = os.environ['BUILD'], os.environ['SOURCE']


def run(*command, **kwargs):
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, **kwargs)
    if done.returncode:
        raise AssertionError(f'{" ".join(command)}\n{done.stdout}{done.stderr}')
    return done.stdout


class Install(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.root = tempfile.mkdtemp(prefix='muster-test-')
        run('meson', 'install', '-C', BUILD, '--no-rebuild', '--destdir', cls.root)
        found = [d for d, _, files in os.walk(cls.root) if 'muster.pc' in files]
        cls.libdir = os.path.dirname(found[0])
        cls.env = dict(os.environ, PKG_CONFIG_SYSROOT_DIR=cls.root, PKG_CONFIG_LIBDIR=found[0],
                       LD_LIBRARY_PATH=cls.libdir)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.root)

    def flags(self, *what):
        return run('pkg-config', *what, 'muster', env=self.env).split()

    def example(self, compiler, *options, flags=('--cflags', '--libs')):
        """Builds it and returns the program."""
        out = os.path.join(self.root, f'agent-{compiler}{"".join(options)}'.replace('=', '-'))
        language = ['-x', 'c++'] if compiler == 'g++' else []
        run(compiler, *options, '-Wall', '-Wextra', '-Werror', '-pedantic', *language,
            os.path.join(SOURCE, 'examples/agent.c'), *(['-x', 'none'] if language else []),
            *self.flags(*flags), '-o', out, env=self.env)
        return out

    def live(self, program, more=None):
        """It is up while it runs, and has left when it was told to end."""
        with Conductor() as c:
            process = subprocess.Popen([program, 'example'], env=dict(
                more or self.env, MUSTER_CONDUCTOR=f'muster://127.0.0.1:{c.agents_port}'))
            try:
                wait.until(lambda: 'up' in c.states().values(), lambda: str(c.states()))
                process.send_signal(signal.SIGTERM)
                self.assertEqual(process.wait(10), 0)
                self.assertEqual(list(c.states().values()), ['left'])
            finally:
                process.kill()
                process.wait()

    def test_the_example_is_built_as_c_and_lives(self):
        self.live(self.example('cc', '-std=gnu99'))

    def test_the_example_is_built_as_cpp_and_lives(self):
        self.live(self.example('g++', '-std=gnu++11'))

    def test_the_example_is_built_with_the_static_library_and_lives(self):
        shared = os.path.join(self.libdir, 'libmuster.so')
        os.rename(shared, shared + '.away')
        try:
            program = self.example('cc', flags=('--cflags', '--libs', '--static'))
        finally:
            os.rename(shared + '.away', shared)
        self.live(program, {k: v for k, v in os.environ.items() if k != 'LD_LIBRARY_PATH'})

    def test_the_header_is_c99_and_cpp11(self):
        for compiler, standard in (('cc', 'c99'), ('g++', 'c++11'), ('g++', 'c++20')):
            source = os.path.join(self.root, 'only.c' if compiler == 'cc' else 'only.cc')
            with open(source, 'w', encoding='ascii') as file:
                file.write('#include <muster.h>\nint main(void) { return muster_version() == 0; }\n')
            run(compiler, f'-std={standard}', '-Wall', '-Wextra', '-Werror', '-pedantic', '-c', source,
                *self.flags('--cflags'), '-o', '/dev/null', env=self.env)

    def test_the_library_needs_the_c_library_alone_and_shows_no_more_than_its_header(self):
        library = os.path.join(self.libdir, 'libmuster.so')
        dynamic = run('readelf', '-d', library)
        needed = {line.split('[')[1].split(']')[0] for line in dynamic.splitlines() if '(NEEDED)' in line}
        self.assertLessEqual(needed, {'libc.so.6', 'libm.so.6'})
        self.assertIn('Library soname: [libmuster.so.0]', dynamic)
        shown = {line.split()[-1] for line in run('nm', '-D', '--defined-only', library).splitlines()}
        with open(os.path.join(SOURCE, 'include/muster.h'), encoding='ascii') as file:
            declared = re.findall(r'MUSTER_API[^;]*?(muster_\w+)\(', file.read())
        self.assertEqual(shown, {'MUSTER_0.1'} | {f'{name}@@MUSTER_0.1' for name in declared})

    def test_plugins_are_installed_and_show_one_symbol(self):
        built = {os.path.basename(path) for path in glob.glob(os.path.join(BUILD, 'muster-store-*.so'))}
        folder = os.path.join(self.libdir, 'muster')
        self.assertEqual(set(os.listdir(folder)) if built else set(), built)
        for name in built:
            shown = run('nm', '-D', '--defined-only', os.path.join(folder, name)).split()
            self.assertEqual(shown[2::3], ['muster_plugin'])

    def test_the_version_is_one(self):
        with open(os.path.join(SOURCE, 'meson.build'), encoding='utf-8') as file:
            self.assertIn(f"version: '{self.flags('--modversion')[0]}'", file.read())


if __name__ == '__main__':
    tap.main()
