#!/usr/bin/env python3
"""The code keeps the arrows, and the checker sees when it does not."""

import os
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import check_arrows      # noqa: E402
from lib import tap      # noqa: E402

ARROWS = '''base ->
fleet -> base
# -- core --
loop -> base
http -> loop
<uv.h> : loop
<curl/*> : loop/web
<pthread.h> : base/log shell
malloc() : base/mem
'''
PAGE = '| base | (muster.h) | x |\n| fleet | base | x |\n| loop | base | x |\n| http | loop | x |\n'


class Code(unittest.TestCase):
    def test_the_code_keeps_the_arrows(self):
        self.assertEqual(list(check_arrows.check(os.path.dirname(HERE))), [])


class Checker(unittest.TestCase):
    def found(self, files, arrows=ARROWS, page=PAGE):
        """What the checker says of a tree of @files beside a few good ones."""
        tree = {'tests/arrows.txt': arrows, 'docs/architecture.md': page, 'include/muster.h': '',
                'src/base/mem.h': '#include "muster.h"\n', 'src/fleet/roster.h': '', 'src/loop/loop.h': ''}
        tree.update(files)
        with tempfile.TemporaryDirectory() as root:
            for path, text in tree.items():
                os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
                with open(os.path.join(root, path), 'w', encoding='utf-8') as file:
                    file.write(text)
            return list(check_arrows.check(root))

    def assert_found(self, start, *args, **kwargs):
        found = self.found(*args, **kwargs)
        self.assertEqual(len(found), 1, found)
        self.assertTrue(found[0].startswith(start), found)

    def test_a_good_tree_passes(self):
        self.assertEqual(self.found({
            'src/fleet/roster.c': '#include "fleet/roster.h"\n#include <stdio.h>\n#include "base/mem.h"\n',
            'src/loop/loop.c': '#include <uv.h>\n#include <pthread.h>\n',
            'src/loop/web.c': '#  include <curl/curl.h>\n',
            'src/base/log.c': '#include <pthread.h>\n',
            'src/base/mem.c': 'void *p = malloc(1);\n'}), [])

    def test_an_include_against_the_arrows_is_found(self):
        self.assert_found('src/base/a.c:2: base may not include "fleet/roster.h"',
                          {'src/base/a.c': '\n#include "fleet/roster.h"\n'})

    def test_an_arrow_is_no_way_for_others(self):
        self.assert_found('src/http/a.h:2: http may not include "base/mem.h"',
                          {'src/http/a.h': '#include "loop/loop.h"\n#include "base/mem.h"\n'})

    def test_a_foreign_header_in_the_wrong_folder_is_found(self):
        self.assert_found('src/fleet/a.c:1: <uv.h> is only for', {'src/fleet/a.c': '#include <uv.h>\n'})

    def test_a_foreign_header_in_the_wrong_file_is_found(self):
        self.assert_found('src/loop/a.c:1: <curl/easy.h> is only', {'src/loop/a.c': '#include <curl/easy.h>\n'})

    def test_a_thread_in_core_is_found(self):
        self.assert_found('src/fleet/a.c:1: <pthread.h>', {'src/fleet/a.c': '#include <pthread.h>\n'})

    def test_a_header_that_is_not_there_is_found(self):
        self.assert_found('src/loop/a.c:1: "base/none.h": no such', {'src/loop/a.c': '#include "base/none.h"\n'})

    def test_a_header_without_folder_is_found(self):
        self.assert_found('src/loop/a.c:1: "loop.h": no such', {'src/loop/a.c': '#include "loop.h"\n'})

    def test_a_folder_nobody_knows_is_found(self):
        self.assert_found('src/new/a.c:1: folder new', {'src/new/a.c': ''})

    def test_a_circle_is_found(self):
        self.assert_found('tests/arrows.txt:1: base stands in a circle', {},
                          ARROWS.replace('base ->', 'base -> loop', 1),
                          PAGE.replace('(muster.h)', 'loop'))

    def test_a_forbidden_call_is_found(self):
        self.assert_found('src/base/a.c:2: malloc() is only for: base/mem',
                          {'src/base/a.c': '\nvoid *p = malloc(1);\n'})

    def test_words_in_comments_and_strings_are_no_calls(self):
        self.assertEqual(self.found({'src/base/a.c': '/* malloc(1)\n malloc(1) */ "malloc(1)" mu_malloc(1) '
                                                     'x->malloc(1) // malloc(1)\n'}), [])

    def test_a_page_that_tells_otherwise_is_found(self):
        self.assert_found('docs/architecture.md:2: fleet: not as in', {},
                          page=PAGE.replace('fleet | base', 'fleet | base loop'))

    def test_a_page_that_leaves_out_is_found(self):
        self.assert_found('docs/architecture.md:1: loop is missing', {},
                          page=PAGE.replace('| loop | base', '| pool | base'))


if __name__ == '__main__':
    tap.main()
