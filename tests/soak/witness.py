"""Notes how late the machine itself lets a thread of the highest priority run.

    python -m tests.soak.witness FILE

A line each second: the longest delay of a 1 ms sleep within it, in ms. What the instrument cannot
help, such as a virtual machine that stands still, is seen here.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time

if __name__ == "__main__":
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50))
    with open(sys.argv[1], "w", buffering=1) as file:
        while True:
            worst, end = 0.0, time.perf_counter() + 1.0
            while (before := time.perf_counter()) < end:
                time.sleep(0.001)
                worst = max(worst, time.perf_counter() - before - 0.001)
            file.write(f"{time.time():.0f} {1000.0 * worst:.1f}\n")
