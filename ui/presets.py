"""The presets browser: scenes kept under a name, searched, loaded, saved."""

from __future__ import annotations

from PyQt6.QtCore import QSize, Qt
from PyQt6.QtGui import QKeyEvent, QShowEvent
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
from lmdm.live.messages import Preset, Snapshot
from ui import theme
from ui.stage import Stage
from ui.table import Rows, Table

SCENE_FILES = "Scenes (*.toml);;All files (*)"


class PresetsDialog(QDialog):
    """Presets found by any word in their name, scenes or prompts. Enter or double-click loads."""

    def __init__(self, stage: Stage, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._stage = stage
        self.setWindowTitle("Presets – LMDM Live")
        self.setModal(False)
        self.rows: Rows[Preset] = Rows(
            (
                ("Name", lambda preset: preset.name),
                ("Scenes", lambda preset: ", ".join(preset.scenes)),
                ("Prompts", lambda preset: preset.words),
                ("From", lambda preset: "you" if preset.own else "LMDM Live"),
            )
        )
        self.table: Table[Preset] = Table(
            "Presets", "Scenes kept under a name.", self.rows, stretch=2
        )
        self.table.doubleClicked.connect(lambda _: self._load())
        self.search = QLineEdit()
        self.search.setPlaceholderText("search names, scenes, prompts")
        self.search.setClearButtonEnabled(True)
        theme.describe(self.search, "Search", "Shows the presets with all of these words.")
        self.search.textChanged.connect(self._search)
        self.load = QPushButton("Load")
        self.load.setObjectName("main")
        self.delete = QPushButton("Delete")
        self.from_file = QPushButton("From file…")
        self.name = QLineEdit()
        self.name.setMaxLength(40)
        self.name.setPlaceholderText("a name for the present scenes")
        self.save = QPushButton("Save")
        for button, name, what in (
            (
                self.load,
                "Load",
                "Its scenes take the place of the present ones; the music goes on.",
            ),
            (self.delete, "Delete", "Forgets a preset of your own."),
            (self.from_file, "From file", "Takes scenes from a file."),
            (self.save, "Save", "Keeps the present scenes under this name."),
        ):
            theme.describe(button, name, what, "instant")
        theme.describe(self.name, "Preset name", "Under which the present scenes are kept.")
        self.load.clicked.connect(self._load)
        self.delete.clicked.connect(self._delete)
        self.from_file.clicked.connect(self._ask_file)
        self.save.clicked.connect(self._save)
        self.name.returnPressed.connect(self._save)
        self.name.textChanged.connect(lambda _: self._show_choice())
        self.nothing = QLabel()
        self.nothing.setObjectName("quiet")
        self.nothing.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._lay_out()
        selection = self.table.selectionModel()
        assert selection is not None
        selection.selectionChanged.connect(lambda *_: self._show_choice())
        stage.changed.connect(self.show_snapshot)
        self.show_snapshot(stage.snapshot)
        self._show_choice()

    def _lay_out(self) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 14, 16, 14)
        column.setSpacing(10)
        for widget in (self.search, self.table, self.nothing):
            column.addWidget(widget, 1 if widget is self.table else 0)
        buttons = QHBoxLayout()
        for button in (self.load, self.delete, self.from_file):
            buttons.addWidget(button)
        buttons.addStretch(1)
        buttons.addWidget(self.name, 2)
        buttons.addWidget(self.save)
        column.addLayout(buttons)
        line = self.fontMetrics().height()
        self.resize(QSize(round(46 * line), round(26 * line)))

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802 (Qt's name)
        """Presets are looked for again."""
        super().showEvent(event)
        self._stage.send(m.LookAround())
        self.search.setFocus()

    def keyPressEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802
        """Enter loads, unless a name is being typed."""
        enter = event is not None and event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter)
        if enter and not self.name.hasFocus():
            self._load()
        elif not enter:
            super().keyPressEvent(event)

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """Shows the presets there are."""
        if snapshot.presets != self.rows.rows:
            self.rows.show_rows(snapshot.presets)
            self._show_choice()
        self._tell()

    def _search(self, words: str) -> None:
        self.table.found.search(words)
        if self.table.found.rowCount() and self.table.chosen is None:
            self.table.selectRow(0)
        self._tell()

    def _tell(self) -> None:
        none = not self.table.found.rowCount()
        words = "Nothing has all of these words." if self.rows.rows else NOTHING
        self.nothing.setText(words if none else "")
        self.nothing.setVisible(none)

    def _show_choice(self) -> None:
        preset = self.table.chosen
        self.load.setEnabled(preset is not None)
        self.delete.setEnabled(preset is not None and preset.own)
        self.save.setEnabled(bool(self.name.text().strip()) and bool(self._stage.snapshot.scenes))

    def _load(self) -> None:
        preset = self.table.chosen
        if preset is not None:
            self._stage.send(m.LoadPreset(preset.name))

    def _delete(self) -> None:
        preset = self.table.chosen
        if preset is not None:
            self._stage.send(m.DeletePreset(preset.name))

    def _save(self) -> None:
        name = self.name.text().strip()
        if name and self._stage.snapshot.scenes:
            self._stage.send(m.SavePreset(name))
            self.name.clear()

    def _ask_file(self) -> None:
        ask = QFileDialog(self, "Scenes from a file", "", SCENE_FILES)
        ask.setFileMode(QFileDialog.FileMode.ExistingFile)
        ask.fileSelected.connect(lambda file: self._stage.send(m.LoadScenes(file)))
        ask.open()


NOTHING = "No presets yet. Keep some scenes, give them a name, and save."
