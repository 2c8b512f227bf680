"""The macro controls, behind tabs: shape, chance, memory, jam and tone."""

from __future__ import annotations

import random
from collections.abc import Sequence

from PyQt6.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from lmdm.live import messages as m
from lmdm.live.messages import Snapshot
from ui import controls, theme
from ui.choice import Choice, choice_for, toggle
from ui.controls import dial_for
from ui.dial import Dial
from ui.lane_label import LaneLabel
from ui.learn import teach
from ui.picker import Picker
from ui.stage import Stage
from ui.tabs import Tabs

FREEZES = (("Off", None), ("1", 1.0), ("2", 2.0), ("4", 4.0), ("8", 8.0))
SOUND_FILES = "Sound files (*.wav *.flac *.ogg *.mp3 *.aiff);;All files (*)"
KEYS: tuple[tuple[str, tuple[int, str] | None], ...] = (
    ("Auto", None),
    *(
        (f"{name} {mode}", (tonic, mode))
        for mode in m.KEY_MODES
        for tonic, name in enumerate(theme.PITCH_NAMES)
    ),
)


class Macros(Tabs):
    """Dials and choices that shape how the model plays; two pages at once where there is room."""

    def __init__(self, stage: Stage) -> None:
        self.shape = ShapePage(stage)
        self.chance = ChancePage(stage)
        self.memory = MemoryPage(stage)
        self.jam = JamPage(stage)
        self.tone = TonePage(stage)
        super().__init__(
            (
                ("Shape", "What the music is like.", self.shape),
                ("Jam", "Your live input, and how the model answers it.", self.jam),
                ("Memory", "What the model remembers, loops and goes on from.", self.memory),
                ("Chance", "Where the chance in the music comes from.", self.chance),
                ("Tone", "Filters and fades of the sound itself.", self.tone),
            ),
            most=2,
        )


class ShapePage(QWidget):
    """Density, brightness, guidance, loudness; drums, bass, notes, key."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self.density = dial_for(stage, controls.DENSITY)
        self.brightness = dial_for(stage, controls.BRIGHTNESS)
        self.guidance = dial_for(stage, controls.GUIDANCE)
        self.loudness = dial_for(stage, controls.LOUDNESS)
        self.drums: Choice[bool | None] = choice_for(
            stage,
            "Drums",
            "Whether there are drums: as the model likes, always, or never.",
            m.SetDrums,
            "drums",
            (("Auto", None), ("On", True), ("Off", False)),
        )
        self.notes: Choice[str] = choice_for(
            stage,
            "Notes",
            "Auto: the model follows notes while you play and is free otherwise. "
            "Follow: only your notes. Free: it ignores them.",
            m.SetNotesMode,
            "notes_mode",
            (("Auto", "auto"), ("Follow", "follow"), ("Free", "free")),
        )
        self.bass_mute = toggle(
            stage, "Mute", "Mute bass", "Music without bass.", m.SetBassMute, "bass_mute"
        )
        self.bass_and_drums = toggle(
            stage,
            "Only bass + drums",
            "Only bass and drums",
            "Everything else falls silent.",
            m.SetBassAndDrumsOnly,
            "bass_and_drums_only",
        )
        self.key: Picker[tuple[int, str] | None] = Picker(
            "Key", "Tonic and mode the music keeps to; or the model decides.", KEYS, "block"
        )
        self.key.chosen.connect(lambda key: stage.send(m.SetKey(key)))
        teach(self.key, "set_key", "Key")
        stage.changed.connect(lambda snapshot: self.key.show_value(snapshot.key))
        bass = _named("Bass", self.bass_mute, self.bass_and_drums)
        key = _named("Key", self.key)
        dials = (self.density, self.brightness, self.guidance, self.loudness)
        _lay_out(self, dials, (self.drums, bass, self.notes, key))


class ChancePage(QWidget):
    """Steps and seed."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self._stage = stage
        self.steps = dial_for(stage, controls.STEPS)
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
        self.seed.valueChanged.connect(lambda value: stage.send(m.SetSeed(value)))
        teach(self.seed, "set_seed", "Seed", long_press=False)
        self.dice = _button("New", "New seed", "Rolls another seed.", "block")
        self.dice.clicked.connect(lambda: self.seed.setValue(random.randrange(1_000_000)))
        self.mode: Choice[str] = choice_for(
            stage,
            "Noise",
            "Run: always new. Hold: the same in every bar, so that ideas come back. "
            "Drift: as hold, and another within eight bars.",
            m.SetSeedMode,
            "seed_mode",
            (("Run", "run"), ("Hold", "hold"), ("Drift", "drift")),
        )
        self.governor = toggle(
            stage,
            "Keeps in time by itself",
            "Governor",
            "Gives up quality before the sound runs out, and says so.",
            m.SetGovernor,
            "governor_on",
        )
        self.forget = _button(
            "Start afresh",
            "Start afresh",
            "The model forgets what it has played, and begins something new.",
            "block",
        )
        self.forget.clicked.connect(lambda: stage.send(m.ResetContext()))
        teach(self.forget, "reset_context", "Start afresh")
        seed = _named("Seed", self.seed, self.dice)
        quality = _named("Governor", self.governor, lane="instant")
        again = _named("Context", self.forget)
        _lay_out(self, (self.steps,), (self.mode, seed, quality, again))
        stage.changed.connect(self.show_snapshot)

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """Shows the seed, unless one is being typed."""
        if not self.seed.hasFocus() and self.seed.value() != snapshot.seed:
            self.seed.blockSignals(True)
            self.seed.setValue(snapshot.seed)
            self.seed.blockSignals(False)


class MemoryPage(QWidget):
    """Recall, section, loop, and what the music goes on from."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self._stage = stage
        self.recall = dial_for(stage, controls.RECALL)
        self.remembered = QLabel()
        self.remembered.setObjectName("quiet")
        self.remembered.setWordWrap(True)
        self.section: Choice[str] = Choice(
            "Section",
            "Name of what is played now; recall looks among its earlier bars first.",
            "block",
            (("None", ""), *((name, name) for name in "ABCD")),
        )
        self.section.chosen.connect(lambda name: stage.send(m.SetSection(name)))
        for name in "ABCD":
            teach(self.section.buttons[name], f"set_section:{name}", f"Section {name}")
        self.freeze: Choice[float | None] = choice_for(
            stage,
            "Loop",
            "Loops the last bars while the model rests; Off lets it go on.",
            m.SetFreeze,
            "freeze",
            FREEZES,
        )
        self.from_bars = _button(
            "Last 4 bars",
            "Go on from the last four bars",
            "The model keeps only these as its beginning.",
            "block",
        )
        self.from_bars.clicked.connect(lambda: stage.send(m.PrimeFromBars(4)))
        teach(self.from_bars, "prime_from_bars:4", "Go on from the last four bars")
        self.from_file = _button(
            "A file…",
            "Go on from a file",
            "The music continues from the end of a sound file.",
            "block",
        )
        self.from_file.clicked.connect(self._ask_file)
        onward = _named("Go on from", self.from_bars, self.from_file)
        _lay_out(self, (self.recall, self.remembered), (self.section, self.freeze, onward))
        stage.changed.connect(self.show_snapshot)

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """Tells the section, what is remembered, and what was recalled."""
        self.section.show_value(snapshot.section)
        bars = "bar" if snapshot.remembered == 1 else "bars"
        words = f"{snapshot.remembered} {bars} remembered" if snapshot.remembered else ""
        if snapshot.recalled:
            numbers = ", ".join(str(bar + 1) for bar in snapshot.recalled)
            words += f"; hears bar {numbers} again"
        if words != self.remembered.text():
            self.remembered.setText(words)

    def _ask_file(self) -> None:
        ask = QFileDialog(self, "Go on from a sound file", "", SOUND_FILES)
        ask.setFileMode(QFileDialog.FileMode.ExistingFile)
        ask.fileSelected.connect(lambda file: self._stage.send(m.Prime(file)))
        ask.open()


class JamPage(QWidget):
    """What the live input does, and how it is mixed."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self.mode: Choice[str] = choice_for(
            stage,
            "Input",
            "Context: the model goes on from what it hears. Sketch: your pitch becomes notes, "
            "your level loudness. Delay: your playing comes back, transformed.",
            m.SetJamMode,
            "jam_mode",
            (("Off", "off"), ("Context", "context"), ("Sketch", "sketch"), ("Delay", "delay")),
        )
        specs = (controls.DELAY, controls.TRANSFORM, controls.FEEDBACK, controls.FUTURE)
        mix = (controls.INPUT_GAIN, controls.DRY, controls.WET)
        self.dials = {spec.target: dial_for(stage, spec) for spec in (*specs, *mix)}
        self.words = QLabel()
        self.words.setObjectName("quiet")
        self.words.setWordWrap(True)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self.mode)
        for group in (specs, mix):
            row = QHBoxLayout()
            for spec in group:
                row.addWidget(self.dials[spec.target], 1)
            column.addLayout(row, 1)
        column.addWidget(self.words)
        stage.changed.connect(self.show_snapshot)

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """Tells the input, its latency, and what the feedback guard does."""
        if not snapshot.input_device:
            words = "No live input; choose one in Set-up."
        else:
            words = f"{snapshot.input_device}, {snapshot.input_ms:.0f} ms compensated"
            if snapshot.feedback_guard_db < -0.1:
                words += f"; guard {snapshot.feedback_guard_db:.0f} dB".replace("-", "−")
        if words != self.words.text():
            self.words.setText(words)


class TonePage(QWidget):
    """Filters of the output, and a fade to its end."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self.high_pass = dial_for(stage, controls.HIGH_PASS)
        self.low_pass = dial_for(stage, controls.LOW_PASS)
        self.fade = _button(
            "Fade out, 5 s",
            "Fade out",
            "Fades to silence over five seconds, then mutes.",
            "instant",
        )
        self.fade.clicked.connect(lambda: stage.send(m.FadeOut(5.0)))
        teach(self.fade, "fade_out", "Fade out")
        fade = _named("Ending", self.fade, lane="instant")
        _lay_out(self, (self.high_pass, self.low_pass), (fade,))


def _lay_out(page: QWidget, dials: Sequence[QWidget], rows: Sequence[QWidget]) -> None:
    """Dials in a row, named rows below, the names of one width."""
    column = QVBoxLayout(page)
    column.setContentsMargins(0, 0, 0, 0)
    column.setSpacing(5)
    line = QHBoxLayout()
    for dial in dials:
        line.addWidget(dial, 1)
    if all(isinstance(dial, Dial) for dial in dials) and len(dials) < 4:
        line.addStretch(4 - len(dials))
    column.addLayout(line, 3)
    labels = [label for row in rows for label in row.findChildren(LaneLabel)]
    wide = max(label.sizeHint().width() for label in labels)
    for label in labels:
        label.setMinimumWidth(wide)
    for row in rows:
        column.addWidget(row)


def _named(name: str, *widgets: QWidget, lane: m.Lane = "block") -> QWidget:
    """A row: a caption with its lane's mark, then widgets."""
    row = QWidget()
    line = QHBoxLayout(row)
    line.setContentsMargins(0, 0, 0, 0)
    line.setSpacing(4)
    line.addWidget(LaneLabel(name, lane))
    for widget in widgets:
        widget.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        line.addWidget(widget, 1)
    return row


def _button(words: str, name: str, what: str, lane: m.Lane) -> QPushButton:
    button = QPushButton(words)
    button.setObjectName("small")
    theme.describe(button, name, what, lane)
    return button
