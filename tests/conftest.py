"""Holds for all tests."""

import os
import signal

os.environ["LC_ALL"] = "C.UTF-8"  # messages are compared in English, whatever language this machine speaks

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # a runner in the background ignores interrupts, and children would inherit that: some tests send them
    signal.signal(signal.SIGINT, signal.default_int_handler)
