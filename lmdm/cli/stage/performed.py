"""The figures of a performance that is over, as `lmdm live --json` prints them."""

from __future__ import annotations

from typing import Any

from lmdm.live.messages import Snapshot


def figures(last: Snapshot) -> dict[str, Any]:
    """What the last snapshot says in figures; latencies are None where nothing was measured."""
    latency = last.latency["block"]
    measured = latency.count > 0
    return {
        "underruns": last.underruns,
        "dropouts": [[each.seconds, each.reason] for each in last.underrun_history],
        "blocks": last.block,
        "real_time_factor": last.real_time_factor,
        "latency_ms": {
            "p50": latency.p50 if measured else None,
            "p95": latency.p95 if measured else None,
            "controls": latency.count,
            "device": last.device_ms,
        },
        "restarts": last.restarts,
        "device": last.device,
        "midi": last.midi or None,
        "seed": last.seed,
    }
