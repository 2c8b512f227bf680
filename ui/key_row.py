"""The row above the keyboard: octave, touch, pedal and harmony."""

from __future__ import annotations

from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QBoxLayout, QHBoxLayout, QLabel, QPushButton, QWidget

from lmdm.live.messages import AllNotesOff, Lane, SetChord, Snapshot, Sustain
from ui import theme
from ui.keys import PlayedKeys, clamped
from ui.lane_label import LaneLabel
from ui.learn import teach
from ui.stage import Stage

VELOCITY_STEP = 12


class KeyRow(QWidget):
    """Settings of the keyboard, and the chord the model should keep to."""

    def __init__(self, stage: Stage, played: PlayedKeys) -> None:
        super().__init__()
        self._stage = stage
        self._played = played
        self.octave_down = _small("Z −", "Octave down", "The letters play an octave lower.", "Z")
        self.octave_up = _small("X +", "Octave up", "The letters play an octave higher.", "X")
        self.softer = _small("C −", "Softer", "The letters play softer.", "C")
        self.louder = _small("V +", "Louder", "The letters play louder.", "V")
        self.octave_down.clicked.connect(lambda: self.move_octave(-1))
        self.octave_up.clicked.connect(lambda: self.move_octave(1))
        self.softer.clicked.connect(lambda: self.move_velocity(-1))
        self.louder.clicked.connect(lambda: self.move_velocity(1))
        self.octave, self.velocity = QLabel(), QLabel()
        for label in (self.octave, self.velocity):
            label.setAlignment(Qt.AlignmentFlag.AlignCenter)
            label.setMinimumWidth(self.fontMetrics().horizontalAdvance("touch 127") + 4)
        self.sustain = _small(
            "Pedal", "Sustain pedal", "Notes go on sounding after you let go.", "/", "block"
        )
        self.sustain.setCheckable(True)
        teach(self.sustain, "sustain", "Sustain pedal", long_press=False)
        self.sustain.clicked.connect(lambda down: stage.send(Sustain(down)))
        self.lift = _small(
            "Lift all", "Lift all notes", "Lets go of every key and the pedal.", "", "block"
        )
        self.lift.clicked.connect(self.lift_all)
        self.chord_auto = _small(
            "Auto", "Automatic harmony", "The model decides the harmony.", "", "block"
        )
        self.chord_auto.setCheckable(True)
        self.chord_auto.clicked.connect(lambda: self._set_chord(None))
        self.chord: list[QPushButton] = []
        for pitch_class, name in enumerate(theme.PITCH_NAMES):
            button = _small(
                name, f"Harmony {name}", "Pitch classes the harmony is made of.", "", "block"
            )
            button.setCheckable(True)
            button.setObjectName("tight")
            button.setMinimumWidth(self.fontMetrics().horizontalAdvance("D♯") + 10)
            button.clicked.connect(lambda on, pc=pitch_class: self._toggle(pc, on))
            self.chord.append(button)
        self._lay_out()
        self._show_reach()
        stage.changed.connect(self.show_snapshot)

    def _lay_out(self) -> None:
        hands, harmony = QHBoxLayout(), QHBoxLayout()
        for row in (hands, harmony):
            row.setSpacing(4)
        hands.addWidget(LaneLabel("Keys", "block"))
        for widget in (self.octave_down, self.octave, self.octave_up):
            hands.addWidget(widget)
        hands.addSpacing(8)
        for widget in (self.softer, self.velocity, self.louder):
            hands.addWidget(widget)
        hands.addSpacing(8)
        hands.addWidget(self.sustain)
        hands.addWidget(self.lift)
        hands.addStretch(1)
        harmony.addWidget(LaneLabel("Harmony", "block"))
        harmony.addWidget(self.chord_auto)
        for button in self.chord:
            harmony.addWidget(button)
        self._rows = QBoxLayout(QBoxLayout.Direction.LeftToRight, self)
        self._rows.setContentsMargins(0, 0, 0, 0)
        self._rows.setSpacing(4)
        self._rows.addLayout(hands, 1)
        self._rows.addLayout(harmony)

    def set_stacked(self, stacked: bool) -> None:
        """Two rows where one is too wide."""
        across, down = QBoxLayout.Direction.LeftToRight, QBoxLayout.Direction.TopToBottom
        self._rows.setDirection(down if stacked else across)

    def move_octave(self, by: int) -> None:
        """Shifts the letters; held notes end as they began."""
        self._played.octave += by
        self._show_reach()

    def move_velocity(self, by: int) -> None:
        """Makes the letters' touch softer or louder."""
        self._played.velocity = clamped(self._played.velocity + by * VELOCITY_STEP, 4, 124)
        self._show_reach()

    def lift_all(self) -> None:
        """Every key and the pedal come up."""
        self._played.release_all()
        self._stage.send(AllNotesOff())

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """Shows the pedal and the harmony."""
        self.sustain.setChecked(snapshot.sustain)
        self.chord_auto.setChecked(snapshot.chord is None)
        for pitch_class, button in enumerate(self.chord):
            button.setChecked(pitch_class in (snapshot.chord or ()))

    def _toggle(self, pitch_class: int, on: bool) -> None:
        chosen = set(self._stage.snapshot.chord or ())
        chosen = chosen | {pitch_class} if on else chosen - {pitch_class}
        self._set_chord(tuple(sorted(chosen)) or None)

    def _set_chord(self, chord: tuple[int, ...] | None) -> None:
        self._stage.send(SetChord(chord))
        self.chord_auto.setChecked(chord is None)

    def _show_reach(self) -> None:
        self.octave.setText(f"octave {self._played.octave}")
        self.velocity.setText(f"touch {self._played.velocity}")


def _small(
    words: str, name: str, what: str, keys: str = "", lane: Lane | None = None
) -> QPushButton:
    button = QPushButton(words)
    button.setObjectName("small")
    theme.describe(button, name, what, lane, keys)
    return button
