#!/usr/bin/env python3
"""Lists of agents by HTTP, while the agents beat at 10 s."""

import lib

run = lib.Run(__doc__)
LENGTH = '2s' if run.quick else '10s'
N = 20000 if run.quick else 1000000
run.sizes(f'{N:,} agents at most')


def lists(n, *options):
    return run.bench('api', '-n', n, '-b', 100, '--for', LENGTH, *options)


for n, most in ((1000, 5), (5000, 25)):
    ms = lists(n, '--rows', n)['list_p50_us'] / 1000
    run.row(f'{n:,} agents, median', f'{ms:.2f} ms', f'<= {most} ms', ms <= most)
got = lists(N, '--clients', 10)
run.row(f'ten readers page through {N:,}: pages', f'{got["pages_per_s"]:,.0f}/s')
run.row('the same: a page of 1,000, median / p99',
        f'{got["page_p50_us"] / 1000:.1f} / {got["page_p99_us"] / 1000:.1f} ms')
run.row('the same: acks of beats, p99', f'{got["ack_p99_us"] / 1000:.1f} ms', '< 20 ms',
        got['ack_p99_us'] < 20000)
run.end()
