"""unittest, told as TAP. A test program ends with

    if __name__ == '__main__':
        tap.main()

and takes names of tests (Class.test_name) as arguments, to run only those."""

import sys
import unittest


class TapResult(unittest.TestResult):
    def __init__(self):
        super().__init__()
        self.number = 0

    def tell(self, ok, test, more=''):
        self.number += 1
        name = test.id().removeprefix('__main__.')
        print(f'{"ok" if ok else "not ok"} {self.number} - {name}{more}', flush=True)

    def comment(self, err, test):
        for line in self._exc_info_to_string(err, test).rstrip().split('\n'):
            print('# ' + line, flush=True)

    def addSuccess(self, test):
        self.tell(True, test)

    def addSkip(self, test, reason):
        self.tell(True, test, f' # SKIP {reason}')

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.tell(False, test)
        self.comment(err, test)

    def addError(self, test, err):
        self.addFailure(test, err)

    def addSubTest(self, test, subtest, err):
        if err is not None:
            self.addFailure(subtest, err)


def main():
    loader = unittest.defaultTestLoader
    module = sys.modules['__main__']
    suite = loader.loadTestsFromNames(sys.argv[1:], module) if sys.argv[1:] \
        else loader.loadTestsFromModule(module)
    result = TapResult()
    suite.run(result)
    print(f'1..{result.number}', flush=True)
    sys.exit(not result.wasSuccessful())
