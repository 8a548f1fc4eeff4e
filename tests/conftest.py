"""Holds for all tests."""

import signal

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # a runner in the background ignores interrupts, and children would inherit that: some tests send them
    signal.signal(signal.SIGINT, signal.default_int_handler)
