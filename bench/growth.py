#!/usr/bin/env python3
"""Cost as the fleet grows: CPU for an acknowledged lone beat, and memory for an agent, at 1k, 10k, 100k, 1M.

Beats come at one rate at every size, so that only the size differs; memory is what the conductor has
more than an empty one. With --svg FILE also a plot."""

import math
import statistics

import lib

run = lib.Run(__doc__, svg={'metavar': 'FILE', 'help': 'write the plot there'},
              rate={'type': int, 'default': 50000, 'help': 'beats a second [50000]'})
SIZES = (1000, 3000, 10000) if run.quick else (1000, 10000, 100000, 1000000)
LENGTH = '1s' if run.quick else '10s'
run.sizes(', '.join(f'{n:,}' for n in SIZES) + ' agents')


def measure(n):
    """us a beat (median), bytes of the conductor."""
    conductor = lib.Conductor(run, more=f'max_agents = {2 * n}\n')
    empty = lib.memory(conductor.pid)
    got = [run.bench('beats', '-n', n, '--rate', run.options.rate, '--for', LENGTH, *run.pins,
                     *conductor.where) for _ in range(run.rounds)]
    held = lib.memory(conductor.pid)
    run.end_child(conductor.process)
    return statistics.median(g['server_cpu_us_per_beat'] for g in got), (held - empty) / n


def place(value, low, high, begin, end):
    """Where @value is on a logarithmic axis."""
    return begin + (math.log(value) - math.log(low)) / (math.log(high) - math.log(low)) * (end - begin)


def nice(values):
    """Bounds of a linear axis from 0, and its step."""
    top = max(values)
    unit = 10 ** math.floor(math.log10(top))
    step = next(s * unit for s in (0.2, 0.5, 1, 2, 5) if top / (s * unit) <= 5)
    return math.ceil(top / step) * step, step


def panel(left, title, values, digits):
    """A plot of @values over SIZES, 360 wide, as lines of SVG."""
    x0, x1, y0, y1 = left + 60, left + 350, 250, 50
    top, step = nice(values)
    out = [f'<text x="{left + 60}" y="28" class="title">{title}</text>']
    for i in range(round(top / step) + 1):
        y = y0 + (y1 - y0) * i * step / top
        out.append(f'<line x1="{x0}" y1="{y:.1f}" x2="{x1}" y2="{y:.1f}" class="grid"/>')
        out.append(f'<text x="{x0 - 8}" y="{y + 4:.1f}" text-anchor="end">{i * step:.{digits}f}</text>')
    points = []
    for n, value in zip(SIZES, values):
        x, y = place(n, SIZES[0], SIZES[-1], x0 + 12, x1 - 12), y0 + (y1 - y0) * value / top
        points.append(f'{x:.1f},{y:.1f}')
        out.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>')
        out.append(f'<text x="{x:.1f}" y="{y - 9:.1f}" text-anchor="middle">{value:.{digits}f}</text>')
        out.append(f'<text x="{x:.1f}" y="{y0 + 18}" text-anchor="middle">{n:,}</text>')
    out.append(f'<polyline points="{" ".join(points)}"/>')
    out.append(f'<text x="{(x0 + x1) / 2}" y="{y0 + 38}" text-anchor="middle">agents</text>')
    return out


def svg(costs, sizes):
    lines = ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 740 300" font-family="sans-serif"'
             ' font-size="12">',
             '<style>text{fill:#222}.title{font-size:14px}.grid{stroke:#ddd}'
             'polyline{fill:none;stroke:#1f6f8b;stroke-width:2}circle{fill:#1f6f8b}</style>',
             '<rect width="740" height="300" fill="#fff"/>',
             *panel(0, 'CPU a beat, us', costs, 2), *panel(370, 'memory an agent, bytes', sizes, 0), '</svg>']
    return '\n'.join(lines) + '\n'


got = []
for n in SIZES:
    cost, size = measure(n)
    got.append((cost, size))
    run.row(f'{n:,} agents: CPU a lone beat, acked', f'{cost:.2f} us')
    run.row('the same: memory an agent', f'{size:,.0f} bytes')
if run.options.svg:
    with open(run.options.svg, 'w', encoding='utf-8') as file:
        file.write(svg(*zip(*got)))
run.end()
