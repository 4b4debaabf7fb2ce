"""Loaded by Python as it starts: process 1 gets no signal that it does not listen for, and Python listens for SIGINT alone.

A program that sets a handler of its own replaces this one.
"""

import os
import signal
import sys


def _stop(number, _frame):
    # As an exception, so that `finally` and `with` are honoured.
    sys.exit(128 + number)


if os.getpid() == 1 and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
    signal.signal(signal.SIGTERM, _stop)
