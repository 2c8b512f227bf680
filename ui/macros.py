"""The macro controls: guidance, steps, loudness, drums, notes, seed, and a fresh start."""

from __future__ import annotations

import random

from PyQt6.QtWidgets import QHBoxLayout, QPushButton, QSpinBox, QVBoxLayout, QWidget

from lmdm.live.messages import (
    ResetContext,
    SetDrums,
    SetGuidance,
    SetLoudness,
    SetNotesMode,
    SetSeed,
    SetSteps,
    Snapshot,
)
from ui import theme
from ui.choice import Choice
from ui.dial import Dial
from ui.lane_label import LaneLabel
from ui.stage import Stage


class Macros(QWidget):
    """Dials and choices that shape how the model plays."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self._stage = stage
        self.guidance = Dial(
            "Guidance",
            "How strictly prompts and notes are obeyed. 1 is free; high is strict, then harsh.",
            "block",
            0.0,
            8.0,
            0.1,
            2.0,
            lambda value: f"{value:.1f}",
        )
        self.guidance.moved.connect(lambda value: stage.send_latest(SetGuidance(value)))
        self.steps = Dial(
            "Steps",
            "How often each piece of music is refined. More sounds cleaner and needs more time.",
            "block",
            1.0,
            16.0,
            1.0,
            4.0,
            lambda value: f"{value:.0f}",
        )
        self.steps.moved.connect(lambda value: stage.send_latest(SetSteps(round(value))))
        self.loudness = Dial(
            "Loudness dB",
            "How loud the model should play, in dB; or let it decide.",
            "block",
            -48.0,
            0.0,
            1.0,
            -18.0,
            lambda value: f"{value:.0f}".replace("-", "−"),
            absent="auto",
        )
        self.loudness.show_value(None)
        self.loudness.moved.connect(lambda value: stage.send_latest(SetLoudness(value)))
        self.loudness_by: Choice[bool] = Choice(
            "Loudness",
            "Whether the model decides how loud it plays, or the dial does.",
            "block",
            (("Auto", False), ("By dial", True)),
        )
        self.loudness_by.chosen.connect(self._choose_loudness)
        self.drums: Choice[bool | None] = Choice(
            "Drums",
            "Whether there are drums: as the model likes, always, or never.",
            "block",
            (("Auto", None), ("On", True), ("Off", False)),
        )
        self.drums.chosen.connect(lambda on: stage.send(SetDrums(on)))
        self.notes: Choice[str] = Choice(
            "Notes",
            "Auto: the model follows notes while you play and is free otherwise. "
            "Follow: only your notes. Free: it ignores them.",
            "block",
            (("Auto", "auto"), ("Follow", "follow"), ("Free", "free")),
        )
        self.notes.chosen.connect(lambda mode: stage.send(SetNotesMode(mode)))
        self.seed = QSpinBox()
        self.seed.setRange(0, 2**31 - 1)
        self.seed.setButtonSymbols(QSpinBox.ButtonSymbols.NoButtons)
        self.seed.setKeyboardTracking(False)
        theme.describe(
            self.seed,
            "Seed",
            "The number the chance in the music comes from; the same seed gives the same chance.",
            "block",
        )
        self.seed.valueChanged.connect(lambda value: stage.send(SetSeed(value)))
        self.dice = QPushButton("New")
        self.dice.setObjectName("small")
        theme.describe(self.dice, "New seed", "Rolls another seed.", "block")
        self.dice.clicked.connect(lambda: self.seed.setValue(random.randrange(1_000_000)))
        self.forget = QPushButton("Start afresh")
        self.forget.setObjectName("small")
        theme.describe(
            self.forget,
            "Start afresh",
            "The model forgets what it has played, and begins something new.",
            "block",
        )
        self.forget.clicked.connect(lambda: stage.send(ResetContext()))
        self._lay_out()
        stage.changed.connect(self.show_snapshot)

    def _lay_out(self) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        dials = QHBoxLayout()
        for dial in (self.guidance, self.steps, self.loudness):
            dials.addWidget(dial, 1)
        column.addLayout(dials, 1)
        wide = self.loudness_by.label.sizeHint().width()
        for choice in (self.loudness_by, self.drums, self.notes):
            choice.label.setFixedWidth(wide)
            column.addWidget(choice)
        row = QHBoxLayout()
        row.setSpacing(4)
        label = LaneLabel("Seed", "block")
        label.setFixedWidth(wide)
        row.addWidget(label)
        row.addWidget(self.seed, 1)
        row.addWidget(self.dice)
        row.addWidget(self.forget)
        column.addLayout(row)

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """Shows what the engine has."""
        self.guidance.show_value(snapshot.guidance)
        self.steps.show_value(snapshot.steps)
        self.loudness.show_value(snapshot.loudness_db)
        self.loudness_by.show_value(snapshot.loudness_db is not None)
        self.drums.show_value(snapshot.drums)
        self.notes.show_value(snapshot.notes_mode)
        if not self.seed.hasFocus() and self.seed.value() != snapshot.seed:
            self.seed.blockSignals(True)
            self.seed.setValue(snapshot.seed)
            self.seed.blockSignals(False)

    def _choose_loudness(self, by_dial: bool) -> None:
        level = self.loudness.usual if by_dial else None
        self.loudness.show_value(level)
        self._stage.send(SetLoudness(level))
