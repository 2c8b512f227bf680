"""The model page: what is on this machine, whether it can be played here, and its loading."""

from __future__ import annotations

from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from lmdm.live import messages as m
from lmdm.live.messages import ModelOffer, Snapshot
from ui import theme
from ui.setup.form import Form, set_text
from ui.stage import Stage

SIGNS = {True: ("●", theme.FRESH), False: ("▲", theme.WARNING), None: ("○", theme.QUIET)}


class OfferRow(QFrame):
    """One model: a sign, its name, what the doctor says, and a button to play with it."""

    def __init__(self, stage: Stage, offer: ModelOffer) -> None:
        super().__init__()
        self.offer = offer
        self.setObjectName("panel")
        sign, tint = SIGNS[offer.fits]
        mark = QLabel(sign)
        mark.setStyleSheet(f"color: {tint};")
        name, says, verdict = QLabel(offer.name), QLabel(offer.says), QLabel()
        name.setStyleSheet("font-weight: bold;")
        says.setObjectName("quiet")
        verdict.setWordWrap(True)
        verdict.setText(offer.verdict or "The doctor has not been asked.")
        for label in (name, says, verdict):
            label.setTextFormat(Qt.TextFormat.PlainText)
        self.ask = QPushButton("Ask the doctor")
        self.ask.setObjectName("small")
        theme.describe(
            self.ask, f"Ask the doctor about {offer.name}",
            "Measures how fast it plays on this machine; takes some seconds' computing.",
        )  # fmt: skip
        self.ask.clicked.connect(lambda: stage.send(m.ExamineModel(offer.name)))
        self.use = QPushButton("Play with it")
        self.use.setObjectName("small")
        self.use.setCheckable(True)
        theme.describe(
            self.use, f"Play with {offer.name}",
            "Loads this model. The sound fades out until it is ready.", "instant",
        )  # fmt: skip
        self.use.clicked.connect(lambda: stage.send(m.SelectModel(offer.name)))
        words = QVBoxLayout()
        words.setSpacing(2)
        for label in (name, says, verdict):
            words.addWidget(label)
        buttons = QVBoxLayout()
        buttons.addWidget(self.use)
        buttons.addWidget(self.ask)
        line = QHBoxLayout(self)
        line.setContentsMargins(12, 8, 12, 8)
        line.setSpacing(12)
        line.addWidget(mark, 0, Qt.AlignmentFlag.AlignTop)
        line.addLayout(words, 1)
        line.addLayout(buttons)

    def show_used(self, used: bool) -> None:
        """Whether this is the model that plays."""
        self.use.setChecked(used)
        self.use.setText("Plays now" if used else "Play with it")
        self.use.setEnabled(not used)


class ModelPage(Form):
    """The models, each with the doctor's verdict; a bar while one loads."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self._stage = stage
        self.rows: list[OfferRow] = []
        self._offers: tuple[ModelOffer, ...] | None = None
        self.loading = QProgressBar()
        self.loading.setAccessibleName("Loading")
        self.loading.setRange(0, 100)
        self.words = QLabel()
        self.words.setObjectName("quiet")
        self.words.setWordWrap(True)
        self._list = QWidget()
        self._column = QVBoxLayout(self._list)
        self._column.setContentsMargins(0, 0, 0, 0)
        self.wide(self.words)
        self.wide(self.loading)
        self.wide(self._list)
        self.tell("More models: lmdm models fetch, lmdm models convert.")
        self.end()
        stage.changed.connect(self.show_snapshot)

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """Shows the models there are and how far loading is."""
        if not self.isVisible():
            return
        if snapshot.models != self._offers:
            self._fill(snapshot.models)
        for row in self.rows:
            row.show_used(row.offer.name == snapshot.model)
            asking = any(
                each.name == f"examine {row.offer.name}" and not each.done for each in snapshot.jobs
            )
            row.ask.setEnabled(not asking)
            row.ask.setText("Measuring …" if asking else "Ask the doctor")
        loading = snapshot.status == "loading"
        self.loading.setVisible(loading)
        self.loading.setValue(round(snapshot.progress * 100))
        factor = snapshot.real_time_factor
        told = f"{snapshot.model or 'No model'} plays."
        if factor > 0:
            told += f" It needs {factor * 100:.0f} % of the time there is."
        set_text(self.words, snapshot.text or "Loading" if loading else told)

    def _fill(self, offers: tuple[ModelOffer, ...]) -> None:
        self._offers = offers
        for row in self.rows:
            self._column.removeWidget(row)
            row.deleteLater()
        self.rows = [OfferRow(self._stage, offer) for offer in offers]
        for row in self.rows:
            self._column.addWidget(row)
