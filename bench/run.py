#!/usr/bin/env python3
"""Every measurement here, one after the other, then its figures as rows of a table for docs/performance.md."""

import argparse
import os
import subprocess
import sys
import tempfile

import lib

HERE = os.path.dirname(os.path.abspath(__file__))
SCRIPTS = ['side', 'peers', 'million', 'restart', 'api', 'checkpoint', 'growth']
WITHOUT_OPTIONS = ['sim-10k.sh', 'detectors.sh']


def read_args():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('names', nargs='*', metavar='NAME', help='only these: ' + ', '.join(SCRIPTS))
    parser.add_argument('--quick', action='store_true', help='small sizes, not judged: shows that it works')
    parser.add_argument('--rounds', type=int, metavar='N', help='of which the median is taken [3]')
    parser.add_argument('--steer', action='store_true',
                        help="have the kernel receive on the server's core (root; undone at the end)")
    args = parser.parse_args()
    for name in args.names:
        if name not in SCRIPTS:
            parser.error(f'there is no "{name}": NAME is one of {", ".join(SCRIPTS)}')
    return args


def main():
    args = read_args()
    options = (['--quick'] if args.quick else []) + (['--steer'] if args.steer else [])
    if args.rounds is not None:
        options += ['--rounds', str(args.rounds)]
    missed, failed = [], []
    with tempfile.NamedTemporaryFile('r', suffix='.md', encoding='utf-8') as rows:
        for name in args.names or SCRIPTS:
            command = [os.path.join(HERE, name + '.py'), '--markdown', rows.name, *options]
            if name == 'growth' and not args.quick:
                command += ['--svg', os.path.join(HERE, '../docs/growth.svg')]
            code = subprocess.run(command, check=False).returncode
            if code != 0:
                (missed if code == lib.MISSED else failed).append(name)
            print(flush=True)
        if not args.names and not args.quick:
            for name in WITHOUT_OPTIONS:
                if subprocess.run([os.path.join(HERE, name)], check=False).returncode != 0:
                    failed.append(name)
        print('\n| what | figure | target | command |\n|---|---|---|---|')
        print(rows.read(), end='', flush=True)
    if missed:
        print('targets were missed: ' + ', '.join(missed), file=sys.stderr)
    if failed:
        sys.exit('failed: ' + ', '.join(failed))
    sys.exit(lib.MISSED if missed else 0)


main()
