"""Prompt pads: two to six texts, each with a weight."""

from __future__ import annotations

from collections.abc import Sequence

from PyQt6.QtCore import QSize, Qt, pyqtSignal
from PyQt6.QtGui import QPainter, QPaintEvent
from PyQt6.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from lmdm.live import messages as m
from lmdm.live.messages import SetBlend, SetPad, SetPrompts, Snapshot
from ui import blend, icons, theme
from ui.fader import Fader
from ui.learn import teach
from ui.picker import Picker
from ui.stage import Stage

FEWEST, MOST = 2, 6
WIDEST = (1 << 24) - 1  # Qt's word for a width without limit
LONGEST = 300  # characters of a prompt
MOST_WEIGHT = 2.0
SOUND_FILES = "Sound files (*.wav *.flac *.ogg *.mp3 *.aiff);;All files (*)"


def glide_words(beats: float) -> str:
    """How long a change of prompts takes."""
    return f"Glide: {beats:g} beats" if beats else "Glide: none"


GLIDES = tuple((glide_words(beats), beats) for beats in (0.0, 1.0, 2.0, 4.0, 8.0, 16.0))


class Badge(QWidget):
    """The prompt's letter in its colour."""

    def __init__(self, index: int) -> None:
        super().__init__()
        self._index = index
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Preferred)

    def sizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        """About as wide as a line is high."""
        side = round(self.fontMetrics().height() * 1.6)
        return QSize(side, side)

    def paintEvent(self, _event: QPaintEvent | None) -> None:  # noqa: N802
        """A rounded square with the letter."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.colour(theme.PROMPT_COLOURS[self._index]))
        painter.drawRoundedRect(self.rect(), 6, 6)
        painter.setPen(theme.colour(theme.GROUND))
        painter.setFont(theme.font(1.1, bold=True))
        letter = theme.PROMPT_LETTERS[self._index]
        painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, letter)


class PromptPad(QWidget):
    """One prompt: its letter, its words, its weight, and its share of the blend."""

    edited = pyqtSignal()
    weighed = pyqtSignal()
    dropped = pyqtSignal()

    def __init__(self, index: int) -> None:
        super().__init__()
        letter = theme.PROMPT_LETTERS[index]
        self._exact = 1.0  # the fader's steps would round it
        self.text = QLineEdit()
        self.text.setMaxLength(LONGEST)
        self.text.setPlaceholderText("describe a sound, press Enter")
        theme.describe(
            self.text,
            f"Prompt {letter}",
            "What the music should sound like, in words. Enter sends it.",
            "block",
        )
        self._committed = ""
        self.text.editingFinished.connect(self._commit)
        self.weight = Fader(
            f"Weight of prompt {letter}",
            "How much this prompt counts beside the others.",
            "block",
            0.0,
            MOST_WEIGHT,
            0.01,
            1.0,
            tint=theme.PROMPT_COLOURS[index],
        )
        self.weight.setMinimumWidth(60)
        teach(self.weight, f"set_prompts:{index + 1}", f"Weight of prompt {letter}")
        self.weight.moved.connect(self._weigh)
        self.weight.setEnabled(False)
        self.share = QLabel("")
        self.share.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.share.setMinimumWidth(self.fontMetrics().horizontalAdvance("100 %") + 6)
        self.remove = QPushButton("×")
        self.remove.setObjectName("plain")
        theme.describe(self.remove, f"Remove prompt {letter}", "Takes this prompt away.", "block")
        self.remove.clicked.connect(self.dropped)
        kept = self.remove.sizePolicy()
        kept.setRetainSizeWhenHidden(True)
        self.remove.setSizePolicy(kept)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(8)
        tall = QSizePolicy.Policy.Expanding
        for widget in (self.text, self.weight):
            widget.setSizePolicy(QSizePolicy.Policy.Expanding, tall)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, tall)
        self.setMaximumHeight(round(self.fontMetrics().height() * 2.5))
        row.addWidget(Badge(index))
        row.addWidget(self.text, 5)
        row.addWidget(self.weight, 3)
        row.addWidget(self.share)
        row.addWidget(self.remove)

    @property
    def prompt(self) -> tuple[str, float]:
        """Text as committed, and weight."""
        return self._committed, self._exact

    @property
    def typing(self) -> bool:
        """Whether words are being typed that have not been sent."""
        return self.text.hasFocus() and self.text.text().strip() != self._committed

    def set_quiet(self, quiet: bool) -> None:
        """Without the sign that removes it."""
        self.remove.setMaximumWidth(0 if quiet else WIDEST)

    def set_prompt(self, text: str, weight: float) -> None:
        """Shows a prompt without reporting it."""
        if text != self._committed or text != self.text.text():
            self._committed = text
            self.text.setText(text)
            self.text.setCursorPosition(0)
        self.weight.setEnabled(bool(text))
        self.set_weight(weight)

    def set_weight(self, weight: float) -> None:
        """Shows a weight without reporting it."""
        self._exact = weight
        self.weight.show_value(weight)

    def show_share(self, share: float) -> None:
        """Shows the prompt's part of the blend."""
        words = f"{abs(share) * 100:.0f} %" if self._committed else ""
        if words != self.share.text():
            self.share.setText(words)

    def restore(self) -> None:
        """Drops words that were typed and not sent."""
        self.text.setText(self._committed)

    def _commit(self) -> None:
        text = self.text.text().strip()
        if text != self._committed:
            self._committed = text
            self.weight.setEnabled(bool(text))
            self.edited.emit()

    def _weigh(self, weight: float) -> None:
        self._exact = weight
        self.weighed.emit()


class PromptPads(QWidget):
    """The list of prompts. Pads without words are kept, but not sent."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self._stage = stage
        self._blend: float | None = None
        self._pad: blend.Point | None = None
        self._shared: object = None  # what the shares were shown for
        self._all = [PromptPad(index) for index in range(MOST)]
        self._count = 0
        self._beyond: tuple[tuple[str, float], ...] = ()  # prompts past the sixth, kept as they are
        self.add = QPushButton("+ Prompt")
        self.add.setObjectName("plain")
        theme.describe(self.add, "Add a prompt", f"Up to {MOST} can be blended.", "block")
        self.add.clicked.connect(self.append)
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(6)
        for pad in self._all:
            pad.edited.connect(self.send)
            pad.weighed.connect(self.send)
            pad.dropped.connect(lambda pad=pad: self.drop(pad))
            self._column.addWidget(pad, 6)
        self._column.addStretch(1)
        self.extras = PromptExtras(stage, self.add)
        self._column.addWidget(self.extras)
        self._fill([("", 1.0)] * FEWEST)
        stage.changed.connect(self.show_snapshot)

    @property
    def pads(self) -> list[PromptPad]:
        """The pads in view."""
        return self._all[: self._count]

    @property
    def prompts(self) -> tuple[tuple[str, float], ...]:
        """The prompts to send: those with words."""
        own = tuple(pad.prompt for pad in self.pads if pad.prompt[0])
        return own + self._beyond

    def send(self) -> None:
        """Sends texts and weights; from here on the weights count, not a crossfade or the pad."""
        if self._blend is not None:
            self._blend = None
            self._stage.send_latest(SetBlend(None))
        if self._pad is not None:
            self._pad = None
            self._stage.send_latest(SetPad(None))
        self._stage.send_latest(SetPrompts(self.prompts))
        self._show_shares()

    def append(self) -> None:
        """One more pad, ready for its words."""
        if len(self.pads) < MOST:
            self._fill([*(pad.prompt for pad in self.pads), ("", 1.0)])
            self.pads[-1].text.setFocus()

    def drop(self, pad: PromptPad) -> None:
        """One pad less; there are always two."""
        if pad in self.pads and len(self.pads) > FEWEST:
            self._fill([each.prompt for each in self.pads if each is not pad])
            self.send()

    def set_locked(self, locked: bool) -> None:
        """While the stage is locked words cannot be changed; weights can."""
        for pad in self._all:
            pad.text.setReadOnly(locked)
            pad.text.setFocusPolicy(
                Qt.FocusPolicy.NoFocus if locked else Qt.FocusPolicy.StrongFocus
            )
            pad.remove.setEnabled(not locked)
            pad.set_quiet(locked)
        self.extras.setVisible(not locked)

    def restore(self, editor: QWidget | None) -> None:
        """Drops words typed into an editor, if it is one of a pad."""
        for pad in self.pads:
            if pad.text is editor:
                pad.restore()

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """Takes over prompts changed elsewhere (a scene, a script); words in the making stay."""
        self._blend, self._pad = snapshot.blend, snapshot.pad
        if not self._same(snapshot.prompts) and not any(pad.typing for pad in self.pads):
            texts = [text for text, _ in snapshot.prompts]
            if texts == [text for text, _ in self.prompts]:
                worded = [pad for pad in self.pads if pad.prompt[0]]
                for pad, (_, weight) in zip(worded, snapshot.prompts, strict=False):
                    pad.set_weight(weight)
            else:
                blank = [("", 1.0)] * max(0, FEWEST - len(texts))
                self._beyond = snapshot.prompts[MOST:]
                self._fill([*snapshot.prompts[:MOST], *blank])
        self._show_shares()

    def _same(self, prompts: tuple[tuple[str, float], ...]) -> bool:
        own = self.prompts
        return len(own) == len(prompts) and all(
            a == b and abs(v - w) < 1e-6 for (a, v), (b, w) in zip(own, prompts, strict=True)
        )

    def _fill(self, prompts: Sequence[tuple[str, float]]) -> None:
        """Shows as many pads as there are prompts. Pads are reused, so the focus order stays."""
        self._count = len(prompts)
        for index, pad in enumerate(self._all):
            pad.setVisible(index < self._count)
            pad.remove.setVisible(self._count > FEWEST)
            pad.set_prompt(*(prompts[index] if index < self._count else ("", 1.0)))
        self.add.setVisible(self._count < MOST)
        self._show_shares()

    def _show_shares(self) -> None:
        state = (self.prompts, self._blend, self._pad, self._count)
        if state == self._shared:
            return
        self._shared = state
        found = iter(blend.shares(self.prompts, self._blend, self._pad))
        for pad in self.pads:
            pad.show_share(next(found, 0.0) if pad.prompt[0] else 0.0)


class PromptExtras(QWidget):
    """Under the prompts: another one, what to avoid, how long a change glides, a style file."""

    def __init__(self, stage: Stage, add: QPushButton) -> None:
        super().__init__()
        self._stage = stage
        self.avoid = QLineEdit()
        self.avoid.setMaxLength(LONGEST)
        self.avoid.setPlaceholderText("avoid …")
        theme.describe(
            self.avoid,
            "Avoid",
            "What the music should keep away from, in words. Needs guidance above 1. Enter sends.",
            "block",
        )
        self.avoid.editingFinished.connect(self._send_avoid)
        self.glide: Picker[float] = Picker(
            "Glide", "How long a change of prompts takes, in beats.", GLIDES, "block"
        )
        self.glide.setMinimumContentsLength(12)
        self.glide.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.glide.chosen.connect(lambda beats: stage.send(m.SetGlide(beats)))
        teach(self.glide, "set_glide", "Glide")
        self.style_file = QPushButton("Style…")
        self.style_file.setObjectName("small")
        self.style_file.setIcon(icons.icon("wave", tint=theme.QUIET))
        theme.describe(
            self.style_file,
            "Style from a sound file",
            "Plays in the style of a sound file.",
            "block",
        )
        self.style_file.clicked.connect(self._ask_style)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(6)
        row.addWidget(add)
        row.addWidget(self.avoid, 1)
        row.addWidget(self.glide)
        row.addWidget(self.style_file)
        stage.changed.connect(self.show_snapshot)

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """Shows what the engine has; words being typed stay."""
        if not self.avoid.hasFocus() and self.avoid.text() != snapshot.negative_prompt:
            self.avoid.setText(snapshot.negative_prompt)
        known = {beats for _, beats in GLIDES}
        if snapshot.glide in known:
            self.glide.show_options(GLIDES)
        else:
            self.glide.show_options((*GLIDES, (glide_words(snapshot.glide), snapshot.glide)))
        self.glide.show_value(snapshot.glide)
        words = "Style off" if snapshot.style else "Style…"
        if words != self.style_file.text():
            self.style_file.setText(words)
            told = snapshot.style or "Plays in the style of a sound file."
            theme.describe(self.style_file, "Style from a sound file", told, "block")

    def _send_avoid(self) -> None:
        text = self.avoid.text().strip()
        if text != self._stage.snapshot.negative_prompt:
            self._stage.send(m.SetNegativePrompt(text))

    def _ask_style(self) -> None:
        if self._stage.snapshot.style:
            self._stage.send(m.SetStyle(""))
            return
        ask = QFileDialog(self, "Style from a sound file", "", SOUND_FILES)
        ask.setFileMode(QFileDialog.FileMode.ExistingFile)
        ask.fileSelected.connect(lambda file: self._stage.send(m.SetStyle(file)))
        ask.open()
