#!/usr/bin/env python3
"""Every measurement here, one after the other, then its figures as rows of a table for docs/performance.md.

Options are handed to each: --quick, --rounds N, --steer. With names (side peers ...) only these."""

import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
SCRIPTS = ['side', 'peers', 'million', 'restart', 'api', 'checkpoint', 'growth']
WITHOUT_OPTIONS = ['sim-10k.sh', 'detectors.sh']


def main():
    names = [word for word in sys.argv[1:] if word in SCRIPTS]
    options = [word for word in sys.argv[1:] if word not in SCRIPTS]
    missed = []
    with tempfile.NamedTemporaryFile('r', suffix='.md', encoding='utf-8') as rows:
        for name in names or SCRIPTS:
            command = [os.path.join(HERE, name + '.py'), '--markdown', rows.name, *options]
            if name == 'growth' and '--quick' not in options:
                command += ['--svg', os.path.join(HERE, '../docs/growth.svg')]
            if subprocess.run(command, check=False).returncode != 0:
                missed.append(name)
            print(flush=True)
        if not names and '--quick' not in options:
            for name in WITHOUT_OPTIONS:
                subprocess.run([os.path.join(HERE, name)], check=False)
        print('\n| what | figure | target | command |\n|---|---|---|---|')
        print(rows.read(), end='')
    if missed:
        sys.exit('targets were missed, or it failed: ' + ', '.join(missed))


main()
