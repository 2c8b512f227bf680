"""What must always be in reach: record, mute and panic."""

from __future__ import annotations

from PyQt6.QtCore import QEvent
from PyQt6.QtWidgets import QHBoxLayout, QPushButton, QSizePolicy, QWidget

from lmdm.live import messages as m
from lmdm.live.messages import Snapshot
from ui import icons, theme, words
from ui.keys import PlayedKeys
from ui.learn import teach
from ui.stage import Stage

SAMPLE_RATE = 44100


class SafetyButtons(QWidget):
    """Undo, redo, back a bar; record with its time; mute; panic."""

    def __init__(self, stage: Stage, played: PlayedKeys) -> None:
        super().__init__()
        self._stage = stage
        self._played = played
        self._locked = False
        self._began: int | None = None  # samples heard when the take was first seen
        self.undo = _icon("undo", "Undo", "Takes the last edit back.", "Ctrl+Z")
        self.undo.clicked.connect(lambda: stage.send(m.UndoChange()))
        self.redo = _icon("redo", "Redo", "Makes the edit again.", "Ctrl+Shift+Z")
        self.redo.clicked.connect(lambda: stage.send(m.RedoChange()))
        self.rewind = _icon(
            "rewind",
            "Back one bar",
            "The music goes on from how it stood at the beginning of the last bar.",
            "",
            "block",
        )
        self.rewind.clicked.connect(lambda: stage.send(m.UndoBars(1)))
        teach(self.rewind, "undo_bars:1", "Back one bar")
        self.record = QPushButton("Record")
        self.record.setObjectName("record")
        self.record.setCheckable(True)
        self.record.setIcon(icons.icon("record", tint=theme.ALARM, on=theme.GROUND))
        theme.describe(
            self.record,
            "Record",
            "Writes what you hear, and everything you do, into a new take folder.",
            "instant",
            "Ctrl+R",
        )
        self.record.clicked.connect(
            lambda on: stage.send(m.StartRecording() if on else m.StopRecording())
        )
        teach(self.record, "start_recording", "Record", long_press=False)
        self.mute = QPushButton("Mute")
        self.mute.setObjectName("mute")
        self.mute.setCheckable(True)
        silences = "Silences the output; the music goes on unheard."
        theme.describe(self.mute, "Mute", silences, "instant", "Ctrl+M")
        self.mute.clicked.connect(lambda on: stage.send(m.Mute(on)))
        teach(self.mute, "mute", "Mute")
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
        teach(self.panic, "panic", "Panic", long_press=False)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(6)
        for button in (self.undo, self.redo, self.rewind, self.record, self.mute, self.panic):
            row.addWidget(button)
        self._measure()
        stage.changed.connect(self.show_snapshot)

    def changeEvent(self, event: QEvent | None) -> None:  # noqa: N802 (Qt's name)
        """Buttons whose words change keep the width of the longest."""
        super().changeEvent(event)
        if event is not None and event.type() == QEvent.Type.FontChange:
            self._measure()

    def _measure(self) -> None:
        line = self.fontMetrics()
        tall = line.height()
        self.record.setMinimumWidth(line.horizontalAdvance("0:00:00 · 99 h left") + 3 * tall)
        self.mute.setMinimumWidth(line.horizontalAdvance("Muted") + 2 * tall)
        self.panic.setMinimumWidth(line.horizontalAdvance("Panic") + 2 * tall)

    def set_locked(self, locked: bool) -> None:
        """While the stage is locked a take can be begun, not ended."""
        self._locked = locked
        for button in (self.undo, self.redo, self.rewind):
            button.setVisible(not locked)
        self.show_snapshot(self._stage.snapshot)

    def press_panic(self) -> None:
        """Forgets held keys, then silence: nothing may sound after."""
        self._played.release_all()
        self._stage.send(m.Panic())

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """Shows whether a take runs, how long, what the disk holds, and what can be undone."""
        recording = bool(snapshot.recording)
        if not recording:
            self._began = None
        elif self._began is None:
            self._began = snapshot.heard
        self.record.setChecked(recording)
        self.record.setEnabled(not (self._locked and recording))
        seconds = (snapshot.heard - (self._began or 0)) / SAMPLE_RATE
        left = words.disk_words(snapshot.disk_seconds)
        told = words.seconds_words(seconds) if recording else "Record"
        text = f"{told} · {left}" if left else told
        if text != self.record.text():
            self.record.setText(text)
        self.mute.setChecked(snapshot.muted)
        self.mute.setText("Muted" if snapshot.muted else "Mute")
        self.undo.setEnabled(snapshot.undoable)
        self.redo.setEnabled(snapshot.redoable)
        self.rewind.setEnabled(snapshot.undoable_bars > 0)


def _icon(
    picture: str, name: str, what: str, keys: str = "", lane: m.Lane | None = "instant"
) -> QPushButton:
    button = QPushButton()
    button.setObjectName("icon")
    button.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
    button.setIcon(icons.icon(picture))
    theme.describe(button, name, what, lane, keys)
    return button
