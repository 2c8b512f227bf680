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

from lmdm.live import messages as m
from lmdm.live.messages import Job, Message, Snapshot, kind_of

Controls = Callable[[Message], None]
Snapshots = Callable[[], Snapshot | None]
Key = tuple[Any, ...]

FRAME_MS = 16  # the panel repaints at most 60 times a second
LOOK_EVERY = 3  # frames: it looks at the engine as often as snapshots come, 20 times a second

# message -> its field, and the snapshot's field in which the engine will report it
ECHOES: dict[type[Message], tuple[str, str]] = {
    m.SetPrompts: ("prompts", "prompts"),
    m.SetBlend: ("position", "blend"),
    m.SetPad: ("position", "pad"),
    m.SetBlendMode: ("mode", "blend_mode"),
    m.SetGlide: ("beats", "glide"),
    m.SetNegativePrompt: ("text", "negative_prompt"),
    m.SetStyleWeight: ("weight", "style_weight"),
    m.SetGuidance: ("scale", "guidance"),
    m.SetSteps: ("steps", "steps"),
    m.SetSeed: ("seed", "seed"),
    m.SetSeedMode: ("mode", "seed_mode"),
    m.SetDrums: ("on", "drums"),
    m.SetBassMute: ("on", "bass_mute"),
    m.SetBassAndDrumsOnly: ("on", "bass_and_drums_only"),
    m.SetDensity: ("amount", "density"),
    m.SetBrightness: ("amount", "brightness"),
    m.SetChord: ("pitch_classes", "chord"),
    m.SetKey: ("key", "key"),
    m.SetLoudness: ("level_db", "loudness_db"),
    m.SetNotesMode: ("mode", "notes_mode"),
    m.Sustain: ("down", "sustain"),
    m.SetRecall: ("amount", "recall"),
    m.SetSection: ("section", "section"),
    m.SetFreeze: ("bars", "freeze"),
    m.SetTempo: ("bpm", "bpm"),
    m.SetQuantise: ("boundary", "quantise"),
    m.SetClockSource: ("source", "clock_source"),
    m.SetClockOut: ("on", "clock_out"),
    m.SetGain: ("gain_db", "gain_db"),
    m.Mute: ("on", "muted"),
    m.SetLowPass: ("cutoff", "low_pass"),
    m.SetHighPass: ("cutoff", "high_pass"),
    m.SetInputGain: ("gain_db", "input_gain_db"),
    m.SetJamMode: ("mode", "jam_mode"),
    m.SetFutureVisibility: ("beats", "future_visibility"),
    m.SetDelay: ("beats", "delay_beats"),
    m.SetFeedback: ("amount", "feedback"),
    m.SetTransform: ("amount", "transform"),
    m.SetDry: ("amount", "dry"),
    m.SetWet: ("amount", "wet"),
    m.SetGovernor: ("on", "governor_on"),
    m.SetBuffer: ("milliseconds", "buffer_ms"),
}
SETTLE_SECONDS = 0.3  # an edit is shown at least this long, though the engine agreed before
PATIENCE_SECONDS = 2.0  # after which the engine's word counts, whatever was asked


@dataclass(frozen=True)
class Edit:
    """A value the musician set, until the engine reports it back."""

    value: Any
    since: float  # seconds of `Stage`'s clock
    kind: str = ""  # of its message; while it waits for a boundary, the edit stays


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
        self._jobs: tuple[Job, ...] = ()
        self._controls = controls
        self._snapshots = snapshots
        self._clock = clock
        self._edits: dict[str, Edit] = {}
        self._sent_now: set[Key] = set()  # in this frame, by `send_latest`
        self._waiting: dict[Key, Message] = {}
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
        key = _key(message)
        if key in self._sent_now:
            self._waiting[key] = message
        else:
            self._sent_now.add(key)
            self._send(message)

    def _frame(self) -> None:
        self._frames += 1
        if self._frames % LOOK_EVERY == 0:
            self.tick()
        else:
            self.ticked.emit()

    def tick(self) -> None:
        """Sends what waits, looks at the engine, tells the views if anything changed; a frame."""
        self._sent_now.clear()
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
            if reported.jobs != self._jobs:
                self._tell_failures(reported.jobs)
        shown = self._with_edits(self._reported)
        if shown != self.snapshot or not self._told:
            self.snapshot, self._told = shown, True
            self.changed.emit(shown)

    def _tell_failures(self, jobs: tuple[Job, ...]) -> None:
        """A job that failed is told once."""
        known, self._jobs = set(self._jobs), jobs
        for job in jobs:
            if job.failed and job not in known:
                self.problem.emit(job.text)

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, {}
        for key, message in waiting.items():
            self._sent_now.add(key)
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
        now = self._clock()
        if isinstance(message, m.Panic):
            self._edits["muted"] = Edit(True, now)
        elif isinstance(message, m.StartRecording):
            self._edits["recording"] = Edit(message.folder or "a new take", now)
        elif isinstance(message, m.StopRecording):
            self._edits["recording"] = Edit("", now)
        elif isinstance(message, m.Play | m.Pause | m.Stop):
            self._edits["transport"] = Edit(TRANSPORT[type(message)], now)
        elif type(message) in ECHOES:
            source, target = ECHOES[type(message)]
            self._edits[target] = Edit(getattr(message, source), now, kind_of(type(message)))

    def _with_edits(self, reported: Snapshot) -> Snapshot:
        now = self._clock()
        waiting = {each.kind for each in reported.waiting}
        for name, edit in list(self._edits.items()):
            age = now - edit.since
            agreed = getattr(reported, name) == edit.value
            if name == "recording":  # the engine names the folder
                agreed = bool(reported.recording) == bool(edit.value)
            if edit.kind in waiting and not agreed:
                continue  # it will come at its boundary
            if age >= PATIENCE_SECONDS or (agreed and age >= SETTLE_SECONDS):
                del self._edits[name]
        if not self._edits:
            return reported
        return replace(reported, **{name: edit.value for name, edit in self._edits.items()})


TRANSPORT: dict[type[Message], str] = {m.Play: "playing", m.Pause: "paused", m.Stop: "stopped"}


def _key(message: Message) -> Key:
    """What a message sets: two of one key need not both be sent."""
    return (type(message), *(getattr(message, name) for name in message.of))
