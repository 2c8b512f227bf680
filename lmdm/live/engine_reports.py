"""What an engine says of itself, as the fields of a snapshot that say it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lmdm.live.clock import SAMPLE_RATE, MusicalClock
from lmdm.live.messages import Memorization


def figures(values: Mapping[str, Any]) -> dict[str, Any]:
    """Of a heartbeat, or of the part of a block's report that is like one."""
    return {
        "real_time_factor": float(values["real_time_factor"]),
        "generation_ms": round(1000.0 * values["generation"], 1),
        "lead_target_ms": 1000.0 * values["lead"],
        "horizon_ms": round(1000.0 * values["horizon"] / SAMPLE_RATE, 1),
        "undoable_bars": int(values["undoable"]),
        "feedback_guard_db": round(float(values["guard"]), 1),
        "governor": str(values["governor"]),
        "governor_level": int(values["governor_level"]),
        "governor_on": bool(values["governor_on"]),
        "memorization": Memorization(**values["memorization"]),
    }


def block(
    state: Mapping[str, Any], facts: Mapping[str, Any], clock: MusicalClock
) -> dict[str, Any]:
    """Of the musical state after a block. facts: what the engine said when it was loaded."""
    notes = state["notes"]
    held = {pitch for pitch, _ in notes["keys"]} | set(notes["pedalled"])
    return {
        "heard_kinds": tuple(facts["heard_kinds"]),
        "block_ms": 1000.0 * facts["block_samples"] / SAMPLE_RATE,
        "block": int(state["blocks"]),
        "samples": int(state["emitted"]),
        "held": tuple(sorted(held)),
        "sustain": bool(notes["pedal"]),
        "scene": str(state["scene"]),
        "recalled": tuple(state["recalled"]),
        "remembered": int(state["remembered"]),
        "bpm": float(state["bpm"]),
        "beat": float(state["beat"]),
        "beats_per_bar": clock.beats_per_bar,
        "bars_per_phrase": clock.bars_per_phrase,
    }
