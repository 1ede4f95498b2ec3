#!/usr/bin/env python3
"""serve.py SERVER PROGRAM - runs a suite of contract/ against a real server.

SERVER is a module of tests/lib with a class Server: a context that starts one in a scratch folder,
and whose places(n) makes n empty databases and returns their URL, with {n} for 1, 2, ..."""

import importlib
import os
import subprocess
import sys

PLACES = 60  # one a case is enough


def main():
    module, program = sys.argv[1:]
    with importlib.import_module('lib.' + module).Server() as server:
        env = dict(os.environ, MUSTER_TEST_STORE=server.places(PLACES))
        return subprocess.run([program], env=env, stdin=subprocess.DEVNULL, check=False).returncode


if __name__ == '__main__':
    sys.exit(main())
