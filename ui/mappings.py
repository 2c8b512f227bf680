"""The mapping table: which controller moves what, live; import and export."""

from __future__ import annotations

from dataclasses import dataclass

from PyQt6.QtCore import QSize
from PyQt6.QtWidgets import (
    QDialog,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from lmdm.live import messages as m
from lmdm.live.messages import ControllerMapping, Snapshot
from ui import theme
from ui.learn import all_taught, name_of, target_of
from ui.learn_card import ENCODING_WORDS, TAKEOVER_WORDS
from ui.picker import Picker
from ui.setup.form import set_text
from ui.sources import moved, source_words
from ui.stage import Stage
from ui.table import Rows, Table

MAPPING_FILES = "Mappings (*.toml);;All files (*)"


@dataclass(frozen=True)
class MappingRow:
    """A mapping as the table shows it."""

    mapping: ControllerMapping
    name: str  # of the control
    live: bool  # this controller moved last


class MappingsDialog(QDialog):
    """Every mapping of the controller in use; the row whose knob moves is marked."""

    def __init__(self, stage: Stage, window: QWidget) -> None:
        super().__init__(window)
        self._stage = stage
        self._window = window
        self.setWindowTitle("MIDI mappings – LMDM Live")
        self.setModal(False)
        self.rows: Rows[MappingRow] = Rows(
            (
                ("", lambda row: "◉" if row.live else ""),
                ("Control", lambda row: row.name),
                ("Controller", lambda row: source_words(row.mapping.source)),
                ("Stands at", _hand_words),
                ("Range", _range_words),
                ("Takeover", lambda row: TAKEOVER_WORDS[row.mapping.takeover].split(":")[0]),
                ("Sends", lambda row: ENCODING_WORDS[row.mapping.encoding]),
            )
        )
        self.table: Table[MappingRow] = Table(
            "Mappings", "Which controller moves which control.", self.rows, stretch=1
        )
        self.search = QLineEdit()
        self.search.setPlaceholderText("search controls and controllers")
        self.search.setClearButtonEnabled(True)
        theme.describe(self.search, "Search", "Shows the rows with all of these words.")
        self.search.textChanged.connect(self.table.found.search)
        self.coming = QLabel()
        self.coming.setObjectName("quiet")
        self.takeover: Picker[str] = Picker(
            "Takeover",
            "What the selected knob does when it does not stand where its control stands.",
            tuple((words, each) for each, words in TAKEOVER_WORDS.items()),
        )
        self.takeover.chosen.connect(self._set_takeover)
        self.learn = self._button("Learn again", "A new controller for the selected control.")
        self.forget = self._button("Forget", "Takes the selected mapping away.")
        self.import_button = self._button("Import…", "Takes mappings from a file.")
        self.export_button = self._button("Export…", "Writes these mappings into a file.")
        self.learn.clicked.connect(self._learn)
        self.forget.clicked.connect(self._forget)
        self.import_button.clicked.connect(self._import)
        self.export_button.clicked.connect(self._export)
        self._lay_out()
        selection = self.table.selectionModel()
        assert selection is not None
        selection.selectionChanged.connect(lambda *_: self._show_choice())
        stage.changed.connect(self.show_snapshot)
        self.show_snapshot(stage.snapshot)
        self._show_choice()

    def _button(self, words: str, what: str) -> QPushButton:
        button = QPushButton(words)
        theme.describe(button, words.rstrip("…"), what)
        return button

    def _lay_out(self) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 14, 16, 14)
        column.setSpacing(10)
        head = QHBoxLayout()
        head.addWidget(self.search, 1)
        head.addWidget(self.coming)
        column.addLayout(head)
        column.addWidget(self.table, 1)
        row = QHBoxLayout()
        row.addWidget(QLabel("Takeover"))
        row.addWidget(self.takeover, 1)
        for button in (self.learn, self.forget):
            row.addWidget(button)
        row.addStretch(1)
        for button in (self.import_button, self.export_button):
            row.addWidget(button)
        column.addLayout(row)
        line = self.fontMetrics().height()
        self.resize(QSize(round(58 * line), round(27 * line)))

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """Shows the mappings and what moves."""
        came = moved(snapshot.last_controller)
        source = came.source if came else ""
        names = {target_of(each): name_of(each) for each in all_taught(self._window)}
        self.rows.show_rows([
            MappingRow(each, control_words(each.target, names), matches(each.source, source))
            for each in snapshot.mappings
        ])  # fmt: skip
        set_text(
            self.coming,
            f"{source_words(came.source)}: {came.value}" if came else "Nothing has come in yet.",
        )

    def _show_choice(self) -> None:
        row = self.table.chosen
        for widget in (self.takeover, self.learn, self.forget):
            widget.setEnabled(row is not None)
        self.takeover.show_value(row.mapping.takeover if row is not None else None)

    def _set_takeover(self, takeover: str) -> None:
        row = self.table.chosen
        if row is not None:
            each = row.mapping
            self._stage.send(
                m.SetMapping(each.source, each.target, each.low, each.high, takeover, each.encoding)
            )

    def _learn(self) -> None:
        row = self.table.chosen
        if row is not None:
            self._stage.send(m.BeginLearn(row.mapping.target))

    def _forget(self) -> None:
        row = self.table.chosen
        if row is not None:
            self._stage.send(m.ForgetMapping(row.mapping.target))

    def _import(self) -> None:
        ask = QFileDialog(self, "Import mappings", "", MAPPING_FILES)
        ask.setFileMode(QFileDialog.FileMode.ExistingFile)
        ask.fileSelected.connect(lambda file: self._stage.send(m.ImportMappings(file)))
        ask.open()

    def _export(self) -> None:
        ask = QFileDialog(self, "Export mappings", "mappings.toml", MAPPING_FILES)
        ask.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        ask.setDefaultSuffix("toml")
        ask.fileSelected.connect(lambda file: self._stage.send(m.ExportMappings(file)))
        ask.open()


def matches(source: str, moved_source: str) -> bool:
    """Whether a mapping's controller, of one channel or of any (`*`), is the one that moved."""
    ours, theirs = source.split(":"), moved_source.split(":")
    return len(ours) == len(theirs) and all(
        a in (b, "*") for a, b in zip(ours, theirs, strict=True)
    )


def control_words(target: str, names: dict[str, str]) -> str:
    """A target as the musician knows it."""
    if target in names:
        return names[target]
    kind, _, argument = target.partition(":")
    words = kind.removeprefix("set_").replace("_", " ").capitalize()
    return f"{words} {argument}".strip()


def _hand_words(row: MappingRow) -> str:
    hand = row.mapping.hand
    if hand is None:
        return "–"
    waits = "" if row.mapping.holds or row.mapping.takeover == "jump" else ", waits"
    return f"{hand * 100:.0f} %{waits}"


def _range_words(row: MappingRow) -> str:
    return f"{row.mapping.low * 100:.0f}–{row.mapping.high * 100:.0f} %"
