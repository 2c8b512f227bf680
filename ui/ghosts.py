"""Soft takeover made visible: where a controller stands that has yet to reach its control."""

from __future__ import annotations

from typing import Any

from PyQt6.QtWidgets import QWidget

from lmdm.live.messages import MESSAGES, Snapshot
from lmdm.live.targets import MOST_WEIGHT, RANGES
from ui.blend_surface import BlendSurface
from ui.learn import all_taught, target_of
from ui.stage import Stage

# What a model may lack a channel for; then it is asked in words, or by a filter.
ASKABLE = frozenset({
    "set_density", "set_brightness", "set_loudness", "set_drums", "set_bass_mute",
    "set_bass_and_drums_only", "set_key", "set_chord", "set_recall",
})  # fmt: skip


def ghosts(snapshot: Snapshot) -> dict[str, float]:
    """Target -> the number its controller stands at, for those that do not move it yet."""
    found = {}
    for mapping in snapshot.mappings:
        if mapping.hand is None or mapping.holds or mapping.takeover == "jump":
            continue
        kind = mapping.target.partition(":")[0]
        if kind == "set_prompts":
            found[mapping.target] = mapping.hand * MOST_WEIGHT
        elif kind == "set_pad":
            found[mapping.target] = mapping.hand
        elif kind in RANGES:
            number = RANGES[kind].value(mapping.hand)
            if number is not None:
                found[mapping.target] = float(number)
    return found


class Ghosts:
    """Shows the ghosts of a window's controls, and which of them the model does not hear."""

    def __init__(self, stage: Stage, window: QWidget) -> None:
        self._window = window
        self._shown: dict[str, float] = {}
        self._heard: tuple[str, ...] = ()
        stage.changed.connect(self.show_snapshot)

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """Passes on what changed."""
        wanted = ghosts(snapshot)
        if wanted == self._shown and snapshot.heard_kinds == self._heard:
            return
        self._shown, self._heard = wanted, snapshot.heard_kinds
        for widget in all_taught(self._window):
            target = target_of(widget)
            if isinstance(widget, BlendSurface):
                widget.show_ghost(wanted.get("set_pad:x"), wanted.get("set_pad:y"))
                continue
            show: Any = getattr(widget, "show_ghost", None)
            if show is not None:
                number = wanted.get(target)
                to_view: Any = widget.learn_to_view  # type: ignore[attr-defined]
                show(None if number is None else to_view(number))
            told: Any = getattr(widget, "show_heard", None)
            if told is not None:
                told(is_heard(snapshot, target))


def is_heard(snapshot: Snapshot, target: str) -> bool:
    """Whether the model itself hears a control; what acts in the sound is always heard."""
    kind = target.partition(":")[0]
    message = MESSAGES.get(kind)
    if not snapshot.heard_kinds or message is None or message.lane != "block":
        return True
    return kind in snapshot.heard_kinds or kind not in ASKABLE
