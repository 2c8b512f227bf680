"""A table of a dialog: rows to pick from, words to search in, drawn in the panel's style."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from PyQt6.QtCore import QAbstractTableModel, QModelIndex, QSortFilterProxyModel, Qt
from PyQt6.QtWidgets import QAbstractItemView, QHeaderView, QTableView, QWidget

from ui import theme

Row = TypeVar("Row")
Column = tuple[str, Callable[[Any], str]]  # heading, words of a row


class Rows(QAbstractTableModel, Generic[Row]):
    """Rows as they are, and a column's words for each."""

    def __init__(self, columns: Sequence[Column], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._columns = tuple(columns)
        self.rows: tuple[Row, ...] = ()

    def show_rows(self, rows: Sequence[Row]) -> None:
        """Other rows; the selection stays where it was when their number did."""
        rows = tuple(rows)
        if rows == self.rows:
            return
        if len(rows) == len(self.rows):
            self.rows = rows
            last = self.index(max(len(rows) - 1, 0), len(self._columns) - 1)
            self.dataChanged.emit(self.index(0, 0), last)
            return
        self.beginResetModel()
        self.rows = rows
        self.endResetModel()

    def rowCount(self, parent: QModelIndex | None = None) -> int:  # noqa: N802 (Qt's name)
        """Rows of the table; cells have none of their own."""
        return 0 if parent is not None and parent.isValid() else len(self.rows)

    def columnCount(self, _parent: QModelIndex | None = None) -> int:  # noqa: N802
        """Columns of the table."""
        return len(self._columns)

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """A cell's words."""
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.ToolTipRole):
            return self._columns[index.column()][1](self.rows[index.row()])
        return None

    def headerData(  # noqa: N802
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        """A column's heading."""
        if role == Qt.ItemDataRole.DisplayRole and orientation == Qt.Orientation.Horizontal:
            return self._columns[section][0]
        return None


class Search(QSortFilterProxyModel):
    """Keeps the rows in any of whose columns every word of the search occurs."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._wanted: tuple[str, ...] = ()

    def search(self, words: str) -> None:
        """Rows must contain all of these words, in any case and order."""
        self._wanted = tuple(words.lower().split())
        self.invalidateRowsFilter()

    def filterAcceptsRow(self, row: int, parent: QModelIndex) -> bool:  # noqa: N802
        """Whether a row has all the words."""
        model = self.sourceModel()
        assert model is not None
        cells = (model.index(row, each, parent).data() for each in range(model.columnCount()))
        whole = " ".join(str(cell or "") for cell in cells).lower()
        return all(word in whole for word in self._wanted)


class Table(QTableView, Generic[Row]):
    """One row selected at a time; headings sort."""

    def __init__(self, name: str, what: str, rows: Rows[Row], stretch: int = 0) -> None:
        super().__init__()
        self._rows = rows
        self.found = Search()
        self.found.setSourceModel(rows)
        self.setModel(self.found)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setAlternatingRowColors(True)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setTabKeyNavigation(False)
        down, across = self.verticalHeader(), self.horizontalHeader()
        assert down is not None and across is not None
        down.hide()
        down.setDefaultSectionSize(round(self.fontMetrics().height() * 1.9))
        across.setHighlightSections(False)
        across.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        for column in range(rows.columnCount()):
            stretched = column == stretch
            across.setSectionResizeMode(
                column,
                QHeaderView.ResizeMode.Stretch
                if stretched
                else QHeaderView.ResizeMode.ResizeToContents,
            )
        theme.describe(self, name, what)
        self.setToolTip("")

    @property
    def chosen(self) -> Row | None:
        """The row selected; None when there is none."""
        model = self.selectionModel()
        picked = model.selectedRows() if model is not None else []
        if not picked:
            return None
        return self._rows.rows[self.found.mapToSource(picked[0]).row()]
