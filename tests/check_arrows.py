#!/usr/bin/env python3
"""Holds the code to tests/arrows.txt, and docs/architecture.md too.

    check_arrows.py ROOT

Prints FILE:LINE: what is wrong, and exits with 1 when anything is."""

import fnmatch
import os
import re
import sys

INCLUDE = re.compile(r'\s*#\s*include\s+(?:"([^"]+)"|<([^>]+)>)')
COMMENT_OR_TEXT = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"', re.S)


class Arrows:
    """arrows.txt, read."""

    def __init__(self, path):
        self.may = {}        # folder -> folders
        self.core = set()
        self.headers = {}    # pattern -> places
        self.functions = {}  # name -> places
        for line in open(path, encoding='utf-8'):
            if line.startswith('# --'):
                self.core = set(self.may)
            line = line.split('#')[0].strip()
            if '->' in line:
                folder, to = line.split('->')
                self.may[folder.strip()] = set(to.split())
            elif ':' in line:
                what, places = line.split(':')
                what = what.strip()
                if what.startswith('<'):
                    self.headers[what[1:-1]] = places.split()
                else:
                    self.functions[what.removesuffix('()')] = places.split()

    def circle(self):
        """A folder that can be reached from itself, or None."""
        def reach(folder, seen):
            for to in self.may.get(folder, ()):
                if to not in seen:
                    seen.add(to)
                    reach(to, seen)
            return seen
        return next((f for f in self.may if f in reach(f, set())), None)

    def allowed(self, places, folder, stem):
        return (folder in places or f'{folder}/{stem}' in places
                or ('shell' in places and folder not in self.core))


def blank(match):
    """Comments and strings as so many empty lines."""
    return re.sub(r'[^\n]', ' ', match.group())


def check_include(arrows, src, folder, stem, own, foreign):
    """What is wrong with one #include, or None."""
    if foreign:
        for pattern, places in arrows.headers.items():
            if fnmatch.fnmatch(foreign, pattern) and not arrows.allowed(places, folder, stem):
                return f'<{foreign}> is only for: {" ".join(places)}'
        return None
    to = os.path.dirname(own)
    if not os.path.exists(os.path.join(src, own) if to else os.path.join(src, '..', 'include', own)):
        return f'"{own}": no such file in src/ or include/'
    if to and to != folder and to not in arrows.may[folder]:
        return f'{folder} may not include "{own}": there is no arrow {folder} -> {to}'
    return None


def check_file(arrows, src, path):
    folder = os.path.relpath(path, src).split(os.sep)[0]
    stem = os.path.splitext(os.path.basename(path))[0]
    shown = os.path.join('src', os.path.relpath(path, src))
    text = open(path, encoding='utf-8').read()
    if folder not in arrows.may:
        yield f'{shown}:1: folder {folder} is not in tests/arrows.txt'
        return
    for number, line in enumerate(text.split('\n'), 1):
        match = INCLUDE.match(line)
        wrong = match and check_include(arrows, src, folder, stem, *match.groups())
        if wrong:
            yield f'{shown}:{number}: {wrong}'
    for number, line in enumerate(COMMENT_OR_TEXT.sub(blank, text).split('\n'), 1):
        for name, places in arrows.functions.items():
            if (re.search(rf'(?<![\w.>]){name}\(', line)
                    and not arrows.allowed(places, folder, stem)):
                yield f'{shown}:{number}: {name}() is only for: {" ".join(places)}'


def check_page(arrows, path):
    """The table of docs/architecture.md: | folder | may include | holds |"""
    told = {}
    for number, line in enumerate(open(path, encoding='utf-8'), 1):
        cells = [c.strip() for c in line.split('|')]
        if len(cells) == 5 and cells[1] in arrows.may:
            told[cells[1]] = number
            if set(cells[2].replace('(muster.h)', '').split()) != arrows.may[cells[1]]:
                yield f'docs/architecture.md:{number}: {cells[1]}: not as in tests/arrows.txt'
    for folder in arrows.may:
        if folder not in told:
            yield f'docs/architecture.md:1: {folder} is missing in the table of arrows'


def check(root):
    arrows = Arrows(os.path.join(root, 'tests', 'arrows.txt'))
    src = os.path.join(root, 'src')
    if arrows.circle():
        yield f'tests/arrows.txt:1: {arrows.circle()} stands in a circle'
    for where, _, files in sorted(os.walk(src)):
        for name in sorted(files):
            if name.endswith(('.c', '.h')):
                yield from check_file(arrows, src, os.path.join(where, name))
    yield from check_page(arrows, os.path.join(root, 'docs', 'architecture.md'))


if __name__ == '__main__':
    found = list(check(sys.argv[1]))
    for wrong in found:
        print(wrong)
    sys.exit(bool(found))
