"""Waiting for a condition rather than for a time."""

import os
import time

# A sanitizer slows everything down; tests then judge order, not times.
SANITIZED = os.environ.get('MUSTER_SANITIZED', '')
PATIENCE = 60 if SANITIZED else 20


def until(condition, what, patience=PATIENCE, pause=0.02):
    """Returns the first true thing that @condition returns; fails after @patience seconds, telling
    @what: a text, or what makes one."""
    end = time.monotonic() + patience
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > end:
            raise AssertionError(f'not within {patience} s: {what() if callable(what) else what}')
        time.sleep(pause)
