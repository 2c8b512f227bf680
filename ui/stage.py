"""The panel's view-model: what is sent, what is shown, and how the two are kept from quarrelling.

Threads: everything here runs in the GUI thread. The two callables it is given must return at once;
what they talk to may live anywhere.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from PyQt6.QtCore import QObject, Qt, QTimer, pyqtSignal

from lmdm.live.messages import (
    Message,
    Mute,
    Panic,
    SetBlend,
    SetChord,
    SetDrums,
    SetGain,
    SetGuidance,
    SetLoudness,
    SetNotesMode,
    SetPrompts,
    SetSeed,
    SetSteps,
    SetTempo,
    Snapshot,
    StartRecording,
    StopRecording,
    Sustain,
)

Controls = Callable[[Message], None]
Snapshots = Callable[[], Snapshot | None]

FRAME_MS = 16  # the panel repaints at most 60 times a second
LOOK_EVERY = 2  # frames: it looks at the engine half as often, as snapshots come 20 times a second

# message -> its field, and the snapshot's field in which the engine will report it
ECHOES: dict[type[Message], tuple[str, str]] = {
    SetPrompts: ("prompts", "prompts"),
    SetBlend: ("position", "blend"),
    SetGuidance: ("scale", "guidance"),
    SetSteps: ("steps", "steps"),
    SetTempo: ("bpm", "bpm"),
    SetDrums: ("on", "drums"),
    SetChord: ("pitch_classes", "chord"),
    SetLoudness: ("level_db", "loudness_db"),
    SetNotesMode: ("mode", "notes_mode"),
    SetSeed: ("seed", "seed"),
    SetGain: ("gain_db", "gain_db"),
    Mute: ("on", "muted"),
    Sustain: ("down", "sustain"),
}
SETTLE_SECONDS = 0.3  # an edit is shown at least this long, though the engine agreed before
PATIENCE_SECONDS = 2.0  # after which the engine's word counts, whatever was asked


@dataclass(frozen=True)
class Edit:
    """A value the musician set, until the engine reports it back."""

    value: Any
    since: float  # seconds of `Stage`'s clock


class Stage(QObject):
    """Sends messages, polls snapshots, and shows the musician's own edits before the engine does.

    `changed` carries a snapshot in which values just set stand in for the engine's older ones, so
    a dial that is being turned is never pulled back. `sent` reports each message that went out;
    `problem` one sentence when sending or looking failed.
    """

    changed = pyqtSignal(object)  # Snapshot
    sent = pyqtSignal(object)  # Message
    problem = pyqtSignal(str)
    ticked = pyqtSignal()  # once a frame, after `changed`

    def __init__(
        self,
        controls: Controls,
        snapshots: Snapshots,
        parent: QObject | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(parent)
        self.snapshot = Snapshot()  # as shown
        self._reported = Snapshot()  # as the engine said last
        self._told = False
        self._controls = controls
        self._snapshots = snapshots
        self._clock = clock
        self._edits: dict[str, Edit] = {}
        self._sent_types: set[type[Message]] = set()  # in this frame, by `send_latest`
        self._waiting: dict[type[Message], Message] = {}
        self._timer = QTimer(self)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.setInterval(FRAME_MS)
        self._timer.timeout.connect(self._frame)
        self._frames = 0

    def start(self) -> None:
        """Begins to look at the engine."""
        self._timer.start()

    def stop(self) -> None:
        """Sends what waits and looks no more."""
        self._timer.stop()
        self._flush()

    def send(self, message: Message) -> None:
        """Sends a message now, after any that wait."""
        self._flush()
        self._send(message)

    def send_latest(self, message: Message) -> None:
        """Sends a message of a stream of them (a dragged dial): at most one of its type a frame.

        The first goes out at once; of those that follow within the frame the last one counts.
        """
        self._note_edit(message)
        if type(message) in self._sent_types:
            self._waiting[type(message)] = message
        else:
            self._sent_types.add(type(message))
            self._send(message)

    def _frame(self) -> None:
        self._frames += 1
        if self._frames % LOOK_EVERY == 0:
            self.tick()
        else:
            self.ticked.emit()

    def tick(self) -> None:
        """Sends what waits, looks at the engine, tells the views if anything changed; a frame."""
        self._sent_types.clear()
        self._flush()
        self._look()
        self.ticked.emit()

    def _look(self) -> None:
        try:
            reported = self._snapshots()
        except Exception as fault:  # whatever the engine's side throws must not take the panel down
            self.problem.emit(f"The engine cannot be read: {fault}")
            reported = None
        if reported is not None:
            self._reported = reported
        shown = self._with_edits(self._reported)
        if shown != self.snapshot or not self._told:
            self.snapshot, self._told = shown, True
            self.changed.emit(shown)

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, {}
        for message in waiting.values():
            self._sent_types.add(type(message))
            self._send(message)

    def _send(self, message: Message) -> None:
        try:
            self._controls(message)
        except Exception as fault:  # a broken pipe, a refused value: one sentence, not a crash
            self._edits.pop(ECHOES.get(type(message), ("", ""))[1], None)
            self.problem.emit(str(fault) or type(fault).__name__)
            return
        self._note_edit(message)
        self.sent.emit(message)

    def _note_edit(self, message: Message) -> None:
        if isinstance(message, Panic):
            self._edits["muted"] = Edit(True, self._clock())
        elif isinstance(message, StartRecording):
            self._edits["recording"] = Edit(message.folder or "a new take", self._clock())
        elif isinstance(message, StopRecording):
            self._edits["recording"] = Edit("", self._clock())
        elif type(message) in ECHOES:
            source, target = ECHOES[type(message)]
            self._edits[target] = Edit(getattr(message, source), self._clock())

    def _with_edits(self, reported: Snapshot) -> Snapshot:
        now = self._clock()
        for name, edit in list(self._edits.items()):
            age = now - edit.since
            agreed = getattr(reported, name) == edit.value
            if name == "recording":  # the engine names the folder
                agreed = bool(reported.recording) == bool(edit.value)
            if age >= PATIENCE_SECONDS or (agreed and age >= SETTLE_SECONDS):
                del self._edits[name]
        if not self._edits:
            return reported
        return replace(reported, **{name: edit.value for name, edit in self._edits.items()})
