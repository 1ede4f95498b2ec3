#!/usr/bin/env python3
"""A million agents join at once; the conductor is killed and started again; all come back without a join."""

import lib

run = lib.Run(__doc__, agents={'type': int, 'help': 'how many [1000000]'},
              store={'help': 'URL of an empty database [SQLite in a scratch folder]'},
              ready_s={'type': float, 'default': 3, 'help': 'bound until it is ready [3]'})
N = run.options.agents or (5000 if run.quick else 1000000)
INTERVAL = 2 if run.quick else 10
run.sizes(f'{N:,} agents at {INTERVAL} s')
got = run.bench('storm', '-n', N, '--interval', f'{INTERVAL}s', *run.pins,
                *(['--store', run.options.store] if run.options.store else []))
run.row(f'{N:,} lone agents join', f'{got["join_s"]:.1f} s')
run.row('ready after SIGKILL', f'{got["ready_s"]:.2f} s', f'<= {run.options.ready_s:.0f} s',
        got['ready_s'] <= run.options.ready_s)
run.row('all heard again, after it was ready', f'{got["back_s"]:.1f} s', f'<= {INTERVAL + 10} s',
        0 <= got['back_s'] <= INTERVAL + 10)
run.row('told to join anew', f'{got["gone"]:,}', '0', got['gone'] == 0)
run.row('said to be down, at any time', f'{got["down"]:,}', '0', got['down'] == 0)
run.row('CPU of the new life until then', f'{got["server_cpu_s"]:.1f} s')
run.end()
