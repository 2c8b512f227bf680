"""The take browser: listen again, render again from the log, show the file."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from PyQt6.QtCore import QSize, Qt, QUrl
from PyQt6.QtGui import QDesktopServices, QShowEvent
from PyQt6.QtWidgets import (
    QDialog,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from lmdm.live import messages as m
from lmdm.live.messages import Job, Snapshot, TakeSummary
from ui import icons, theme
from ui.picker import Picker
from ui.stage import Stage
from ui.table import Rows, Table
from ui.words import seconds_words

QUALITIES: tuple[tuple[str, int | None], ...] = (
    ("as it was played", None),
    ("8 steps", 8),
    ("16 steps", 16),
    ("32 steps", 32),
)


class TakesDialog(QDialog):
    """Takes, newest first. Listening mutes the live sound; rendering runs in the background."""

    def __init__(self, stage: Stage, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._stage = stage
        self.setWindowTitle("Takes – LMDM Live")
        self.setModal(False)
        self.rows: Rows[TakeSummary] = Rows(
            (
                ("When", lambda take: when_words(take.when)),
                ("Length", lambda take: seconds_words(take.seconds)),
                ("Name", lambda take: take.name),
                ("Prompts", lambda take: ", ".join(take.prompts)),
                ("Model", lambda take: take.model),
                ("Rendered", lambda take: Path(take.rendered).name if take.rendered else ""),
            )
        )
        self.table: Table[TakeSummary] = Table(
            "Takes", "What was recorded, newest first.", self.rows, stretch=3
        )
        self.table.doubleClicked.connect(lambda _: self._play())
        self.search = QLineEdit()
        self.search.setPlaceholderText("search names, prompts, dates")
        self.search.setClearButtonEnabled(True)
        theme.describe(self.search, "Search", "Shows the takes with all of these words.")
        self.search.textChanged.connect(self.table.found.search)
        self.play = QPushButton("Listen")
        self.play.setIcon(icons.icon("play"))
        self.quality: Picker[int | None] = Picker(
            "Quality", "How many steps a block the take is rendered with.", QUALITIES
        )
        self.quality.show_value(16)
        self.render_button = QPushButton("Render again")
        self.reveal = QPushButton("Show file")
        self.reveal.setIcon(icons.icon("folder"))
        for button, name, what in (
            (self.play, "Listen", "Plays the recording; the live sound is muted meanwhile."),
            (self.render_button, "Render again",
             "Makes the music again from its log, into a file beside the recording."),
            (self.reveal, "Show file", "Opens the take's folder."),
        ):  # fmt: skip
            theme.describe(button, name, what, "instant")
        self.play.clicked.connect(self._play)
        self.render_button.clicked.connect(self._render)
        self.reveal.clicked.connect(self._reveal)
        self.job = QProgressBar()
        self.job.setRange(0, 1000)
        self.job.setAccessibleName("Rendering")
        self.job_words = QLabel()
        self.job_words.setObjectName("quiet")
        self.job_words.setTextFormat(Qt.TextFormat.PlainText)
        self.cancel = QPushButton("Cancel")
        self.cancel.setObjectName("small")
        theme.describe(self.cancel, "Cancel", "Ends rendering; nothing is left behind.")
        self.cancel.clicked.connect(self._cancel)
        self._job: Job | None = None
        self._lay_out()
        selection = self.table.selectionModel()
        assert selection is not None
        selection.selectionChanged.connect(lambda *_: self._show_choice(self._stage.snapshot))
        stage.changed.connect(self.show_snapshot)
        self.show_snapshot(stage.snapshot)

    def _lay_out(self) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 14, 16, 14)
        column.setSpacing(10)
        column.addWidget(self.search)
        column.addWidget(self.table, 1)
        buttons = QHBoxLayout()
        buttons.addWidget(self.play)
        buttons.addStretch(1)
        buttons.addWidget(self.render_button)
        buttons.addWidget(self.quality)
        buttons.addStretch(1)
        buttons.addWidget(self.reveal)
        column.addLayout(buttons)
        self.jobs = QWidget()
        line = QHBoxLayout(self.jobs)
        line.setContentsMargins(0, 0, 0, 0)
        line.addWidget(self.job_words)
        line.addWidget(self.job, 1)
        line.addWidget(self.cancel)
        column.addWidget(self.jobs)
        height = self.fontMetrics().height()
        self.resize(QSize(round(52 * height), round(27 * height)))

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802 (Qt's name)
        """Takes are looked for again."""
        super().showEvent(event)
        self._stage.send(m.LookAround())

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """Shows the takes, and how far rendering is."""
        self.rows.show_rows(snapshot.takes)
        if snapshot.takes and self.table.chosen is None:
            self.table.selectRow(0)
        renders = [each for each in snapshot.jobs if each.name.startswith("render ")]
        self._job = renders[-1] if renders else None
        self.jobs.setVisible(self._job is not None)
        if self._job is not None:
            self.job.setValue(round(self._job.progress * 1000))
            self.job.setVisible(not self._job.done)
            self.cancel.setVisible(not self._job.done)
            if self.job_words.text() != self._job.text:
                self.job_words.setText(self._job.text)
        self._show_choice(snapshot)

    def _show_choice(self, snapshot: Snapshot) -> None:
        take = self.table.chosen
        for button in (self.play, self.render_button, self.reveal):
            button.setEnabled(take is not None)
        playing = take is not None and snapshot.take_playing == take.folder
        words = "Stop" if playing else "Listen"
        if words != self.play.text():
            self.play.setText(words)
            self.play.setIcon(icons.icon("stop" if playing else "play"))

    def _play(self) -> None:
        take = self.table.chosen
        if take is None:
            return
        if self._stage.snapshot.take_playing == take.folder:
            self._stage.send(m.StopTake())
        else:
            self._stage.send(m.PlayTake(take.folder))

    def _render(self) -> None:
        take = self.table.chosen
        if take is not None:
            self._stage.send(m.RenderTake(take.folder, self.quality.value))

    def _cancel(self) -> None:
        if self._job is not None:
            self._stage.send(m.CancelJob(self._job.name))

    def _reveal(self) -> None:
        take = self.table.chosen
        if take is not None and not QDesktopServices.openUrl(QUrl.fromLocalFile(take.folder)):
            self._stage.problem.emit(f"No program shows folders here; the take is in {take.folder}")


def when_words(when: str) -> str:
    """An ISO date and time as people write it; as it is when it is none.

    >>> when_words("2026-11-24T21:05:00")
    '24 Nov 2026, 21:05'
    """
    try:
        moment = datetime.fromisoformat(when)
    except ValueError:
        return when
    return f"{moment.day} {moment:%b %Y, %H:%M}"
