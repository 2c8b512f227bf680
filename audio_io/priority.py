"""Asks the system to run the calling thread before others; audio threads need it under load."""

from __future__ import annotations

import os

_PRIORITY = 5  # below the sound server's own threads (JACK: 10)


def raise_thread_priority() -> bool:
    """Real-time scheduling for the calling thread, if the user may have it (Linux `audio` group).

    Returns: whether it was granted. Where it is not, or on other systems, nothing changes.
    """
    if not hasattr(os, "sched_setscheduler"):
        return False
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(_PRIORITY))  # 0: this thread alone
    except OSError:
        return False
    return True
