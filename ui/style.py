"""The style sheet of Qt's own widgets, for a size of letters in points."""

from __future__ import annotations

from ui.palette import (
    ACCENT,
    ALARM,
    CHOSEN,
    FAINT,
    GROUND,
    LINE,
    PANEL,
    QUIET,
    RAISED,
    TEXT,
    WARNING,
    WELL,
)


def sheet(points: float) -> str:
    """The whole style sheet."""
    return "\n".join((_grounds(points), _buttons(points), _fields(), _lists(points), _bars()))


def _grounds(points: float) -> str:
    return f"""
QWidget {{ color: {TEXT}; }}
QMainWindow, QDialog, QWidget#ground {{ background: {GROUND}; }}
QDialog {{ border: 1px solid {LINE}; }}
QFrame#panel {{ background: {PANEL}; border-radius: 8px; }}
QFrame#card {{ background: {PANEL}; border: 1px solid {ACCENT}; border-radius: 10px; }}
QLabel#caption {{ color: {QUIET}; }}
QLabel#quiet {{ color: {QUIET}; }}
QLabel#title {{ font-size: {points * 1.35:.1f}pt; font-weight: bold; }}
QLabel#warning {{ color: {WARNING}; }}
QLabel#key {{ background: {RAISED}; border: 1px solid {LINE}; border-radius: 4px;
    padding: 1px 7px; font-weight: bold; }}
QToolTip {{ background: {RAISED}; color: {TEXT}; border: 1px solid {LINE}; padding: 6px; }}
"""


def _buttons(points: float) -> str:
    return f"""
QPushButton {{
    background: {RAISED}; border: 1px solid {LINE}; border-radius: 6px;
    padding: 5px 10px; min-height: 1.4em; icon-size: {round(points * 1.9)}px;
}}
QPushButton:hover {{ border-color: {QUIET}; }}
QPushButton:pressed {{ background: {LINE}; }}
QPushButton:focus {{ border: 1px solid {ACCENT}; }}
QPushButton:disabled {{ color: {FAINT}; background: {PANEL}; }}
QPushButton:checked {{ background: {CHOSEN}; border-color: {ACCENT}; }}
QPushButton:checked:focus {{ border-color: {TEXT}; }}
QPushButton:checked:disabled {{ color: {QUIET}; background: {PANEL}; border-color: {LINE}; }}
QPushButton#main {{ background: {CHOSEN}; border-color: {ACCENT}; }}
QPushButton#main:disabled {{ background: {PANEL}; border-color: {LINE}; }}
QPushButton#small {{ padding: 2px 8px; }}
QPushButton#tight {{ padding: 2px 4px; }}
QPushButton#scene {{ padding: 2px 6px; min-height: 1em; }}
QPushButton#icon {{ padding: 5px 6px; }}
QPushButton#plain {{ background: transparent; border: 1px solid transparent; padding: 2px 6px;
    color: {QUIET}; }}
QPushButton#plain:hover, QPushButton#plain:focus {{ color: {TEXT}; border-color: {LINE}; }}
QPushButton#plain:checked {{ color: {TEXT}; border-bottom: 2px solid {ACCENT}; border-radius: 0; }}
QPushButton#record:checked {{ background: {ALARM}; border-color: {ALARM}; color: {GROUND};
    font-weight: bold; }}
QPushButton#mute:checked {{ background: {WARNING}; border-color: {WARNING}; color: {GROUND}; }}
QPushButton#panic {{ border: 1px solid {ALARM}; color: {ALARM}; font-weight: bold; }}
QPushButton#panic:pressed {{ background: {ALARM}; color: {GROUND}; }}
QPushButton#tab {{ background: transparent; border: none; border-bottom: 2px solid transparent;
    border-radius: 0; padding: 3px 10px; color: {QUIET}; }}
QPushButton#tab:hover {{ color: {TEXT}; }}
QPushButton#tab:focus {{ color: {TEXT}; border-bottom: 2px dotted {ACCENT}; }}
QPushButton#tab[beside="true"] {{ color: {TEXT}; border-bottom: 2px solid {FAINT}; }}
QPushButton#tab:checked {{ color: {TEXT}; border-bottom: 2px solid {ACCENT}; }}
QCheckBox {{ spacing: 8px; }}
QCheckBox::indicator {{ width: 1.1em; height: 1.1em; border: 1px solid {FAINT};
    border-radius: 4px; background: {WELL}; }}
QCheckBox::indicator:checked {{ background: {ACCENT}; border-color: {ACCENT}; }}
QCheckBox:focus {{ color: {ACCENT}; }}
QMenu {{ background: {RAISED}; border: 1px solid {LINE}; padding: 4px; }}
QMenu::item {{ padding: 6px 26px 6px 12px; border-radius: 4px; }}
QMenu::item:selected {{ background: {CHOSEN}; }}
QMenu::item:disabled {{ color: {QUIET}; }}
QMenu::separator {{ height: 1px; background: {LINE}; margin: 4px 6px; }}
"""


def _fields() -> str:
    return f"""
QLineEdit, QAbstractSpinBox, QComboBox, QPlainTextEdit {{
    background: {WELL}; border: 1px solid {LINE}; border-radius: 6px; padding: 4px 8px;
    selection-background-color: {ACCENT}; selection-color: {GROUND};
}}
QLineEdit:focus, QAbstractSpinBox:focus, QComboBox:focus {{ border-color: {ACCENT}; }}
QLineEdit:disabled, QAbstractSpinBox:disabled, QComboBox:disabled {{ color: {FAINT}; }}
QAbstractSpinBox::up-button, QAbstractSpinBox::down-button {{ width: 0; border: none; }}
QComboBox {{ padding-right: 24px; min-height: 1.4em; }}
QComboBox::drop-down {{ border: none; width: 22px; }}
QComboBox QAbstractItemView {{ background: {RAISED}; border: 1px solid {LINE};
    selection-background-color: {CHOSEN}; selection-color: {TEXT}; outline: none; }}
"""


def _lists(points: float) -> str:
    return f"""
QTableView, QListView, QListWidget {{ background: {WELL}; border: 1px solid {LINE};
    border-radius: 6px; outline: none; alternate-background-color: #101318;
    selection-background-color: {CHOSEN}; selection-color: {TEXT}; gridline-color: {PANEL}; }}
QTableView:focus, QListView:focus {{ border-color: {ACCENT}; }}
QTableView::item, QListView::item {{ padding: 4px 8px; }}
QHeaderView {{ background: {PANEL}; }}
QHeaderView::section {{ background: {PANEL}; color: {QUIET}; border: none;
    border-bottom: 1px solid {LINE}; padding: 5px 8px; font-size: {points * 0.9:.1f}pt; }}
QTableCornerButton::section {{ background: {PANEL}; border: none; }}
"""


def _bars() -> str:
    return f"""
QScrollBar:vertical {{ background: transparent; width: 10px; margin: 2px; }}
QScrollBar:horizontal {{ background: transparent; height: 10px; margin: 2px; }}
QScrollBar::handle {{ background: {LINE}; border-radius: 3px; min-height: 24px; min-width: 24px; }}
QScrollBar::handle:hover {{ background: {FAINT}; }}
QScrollBar::add-line, QScrollBar::sub-line {{ width: 0; height: 0; }}
QScrollBar::add-page, QScrollBar::sub-page {{ background: transparent; }}
QScrollArea {{ border: none; background: transparent; }}
QScrollArea > QWidget > QWidget {{ background: transparent; }}
QProgressBar {{ background: {WELL}; border: 1px solid {LINE}; border-radius: 5px;
    text-align: center; min-height: 10px; max-height: 18px; }}
QProgressBar::chunk {{ background: {CHOSEN}; border-radius: 4px; }}
"""
