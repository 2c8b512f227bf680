"""What must always be in reach: record, mute and panic."""

from __future__ import annotations

from PyQt6.QtWidgets import QHBoxLayout, QPushButton, QWidget

from lmdm.live.messages import Mute, Panic, Snapshot, StartRecording, StopRecording
from ui import theme, words
from ui.keys import PlayedKeys
from ui.stage import Stage

SAMPLE_RATE = 44100


class SafetyButtons(QWidget):
    """Record with its time, mute, panic."""

    def __init__(self, stage: Stage, played: PlayedKeys) -> None:
        super().__init__()
        self._stage = stage
        self._played = played
        self._began: int | None = None  # samples heard when the take was first seen
        self.record = QPushButton("● Record")
        self.record.setObjectName("record")
        self.record.setCheckable(True)
        theme.describe(
            self.record,
            "Record",
            "Writes what you hear, and everything you do, into a new take folder.",
            "instant",
            "Ctrl+R",
        )
        self.record.clicked.connect(
            lambda on: stage.send(StartRecording() if on else StopRecording())
        )
        self.mute = QPushButton("Mute")
        self.mute.setObjectName("mute")
        self.mute.setCheckable(True)
        silences = "Silences the output; the music goes on unheard."
        theme.describe(self.mute, "Mute", silences, "instant", "Ctrl+M")
        self.mute.clicked.connect(lambda on: stage.send(Mute(on)))
        self.panic = QPushButton("Panic")
        self.panic.setObjectName("panic")
        theme.describe(
            self.panic,
            "Panic",
            "Silence at once: mutes, lifts every note, clears what is ready. Unmute to go on.",
            "instant",
            "Ctrl+.",
        )
        self.panic.pressed.connect(self.press_panic)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(8)
        line = self.fontMetrics()
        self.record.setMinimumWidth(line.horizontalAdvance("■ 0:00:00 Record") + 30)
        self.mute.setMinimumWidth(line.horizontalAdvance("Muted") + 34)
        self.panic.setMinimumWidth(line.horizontalAdvance("Panic") + 50)
        for button in (self.record, self.mute, self.panic):
            row.addWidget(button)
        stage.changed.connect(self.show_snapshot)

    def press_panic(self) -> None:
        """Forgets held keys, then silence: nothing may sound after."""
        self._played.release_all()
        self._stage.send(Panic())

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """Shows whether a take runs, how long, and whether the output is muted."""
        recording = bool(snapshot.recording)
        if not recording:
            self._began = None
        elif self._began is None:
            self._began = snapshot.heard
        self.record.setChecked(recording)
        seconds = (snapshot.heard - (self._began or 0)) / SAMPLE_RATE
        self.record.setText(f"■ {words.seconds_words(seconds)}" if recording else "● Record")
        self.mute.setChecked(snapshot.muted)
        self.mute.setText("Muted" if snapshot.muted else "Mute")
