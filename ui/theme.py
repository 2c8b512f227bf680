"""Colours, type and the style sheet: dark, calm, and legible at arm's length.

Hues are those of Okabe and Ito ("Color Universal Design", 2008), lightened where they carry text on
a dark ground, so that no pair is told apart by red against green alone. Colour never says anything
by itself: prompts also carry letters, lanes carry shapes, states carry words.
"""

from __future__ import annotations

from PyQt6.QtCore import QPointF
from PyQt6.QtGui import QColor, QFont, QPalette, QPolygonF
from PyQt6.QtWidgets import QApplication, QWidget

from lmdm.live.messages import Lane

GROUND = "#111317"  # behind everything
PANEL = "#1a1d23"  # a group of controls
WELL = "#0c0e11"  # what is drawn into: pictures, text fields, tracks
RAISED = "#272c35"  # a button
LINE = "#343b47"  # edges
TEXT = "#eceff4"
QUIET = "#a3adbd"  # captions, units
ACCENT = "#6cc1f2"  # what the musician sets
CHOSEN = "#2c4a60"  # a button that is on
FRESH = "#34c39a"  # what the model hears or gives
WARNING = "#f0b429"
ALARM = "#ff7a59"

PROMPT_COLOURS = ("#6cc1f2", "#f0b429", "#34c39a", "#e796c4", "#f5ec6b", "#ff7a59")
PROMPT_LETTERS = "ABCDEF"

LANE_COLOURS: dict[Lane, str] = {"instant": "#f5ec6b", "block": "#6cc1f2", "scene": "#e796c4"}
LANE_WORDS: dict[Lane, str] = {
    "instant": "acts at once, in the sound itself",
    "block": "acts from the next piece of music that is made",
    "scene": "waits for the next beat or bar",
}

POINTS = 10.5  # body text, in points; everything else is a multiple of it
PITCH_NAMES = ("C", "C♯", "D", "D♯", "E", "F", "F♯", "G", "G♯", "A", "A♯", "B")


def colour(code: str, opacity: float = 1.0) -> QColor:
    """A colour of the palette at an opacity from 0 to 1."""
    made = QColor(code)
    made.setAlphaF(opacity)
    return made


def mixed(first: str, second: str, share: float) -> QColor:
    """The colour `share` (0 to 1) of the way from the first to the second."""
    a, b = QColor(first), QColor(second)
    return QColor.fromRgbF(
        a.redF() + (b.redF() - a.redF()) * share,
        a.greenF() + (b.greenF() - a.greenF()) * share,
        a.blueF() + (b.blueF() - a.blueF()) * share,
    )


def font(scale: float = 1.0, bold: bool = False) -> QFont:
    """The panel's face at a multiple of the body size, with figures of equal width where it can."""
    made = QFont(QApplication.font())
    made.setPointSizeF(POINTS * scale)
    made.setBold(bold)
    return made


def lane_shape(lane: Lane, x: float, y: float, size: float) -> QPolygonF:
    """The mark of a lane, centred at (x, y): triangle instant, square block, diamond scene."""
    r = size / 2
    s = 0.8 * r  # a square of half-side r would look larger than the others
    corners = {
        "instant": ((-s, -r), (r, 0.0), (-s, r)),
        "block": ((-s, -s), (s, -s), (s, s), (-s, s)),
        "scene": ((0.0, -r), (r, 0.0), (0.0, r), (-r, 0.0)),
    }[lane]
    return QPolygonF([QPointF(x + dx, y + dy) for dx, dy in corners])


def describe(
    widget: QWidget, name: str, what: str, lane: Lane | None = None, keys: str = ""
) -> None:
    """Gives a control its accessible name, and a tooltip: what it does, its lane, its keys."""
    lines = [f"<b>{name}</b>", what]
    if lane is not None:
        lines.append(f"<span style='color:{QUIET}'>Lane: {lane} – {LANE_WORDS[lane]}.</span>")
    if keys:
        lines.append(f"<span style='color:{QUIET}'>Keys: {keys}</span>")
    widget.setToolTip("<qt>" + "<br>".join(lines) + "</qt>")
    widget.setAccessibleName(name)
    widget.setAccessibleDescription(what)


def apply(application: QApplication) -> None:
    """Dresses the whole application."""
    application.setStyle("Fusion")
    face = application.font()
    face.setPointSizeF(POINTS)
    application.setFont(face)
    palette = QPalette()
    role = QPalette.ColorRole
    for place, code in (
        (role.Window, GROUND),
        (role.WindowText, TEXT),
        (role.Base, WELL),
        (role.AlternateBase, PANEL),
        (role.Text, TEXT),
        (role.PlaceholderText, QUIET),
        (role.Button, RAISED),
        (role.ButtonText, TEXT),
        (role.Highlight, ACCENT),
        (role.HighlightedText, GROUND),
        (role.ToolTipBase, RAISED),
        (role.ToolTipText, TEXT),
    ):
        palette.setColor(place, QColor(code))
    application.setPalette(palette)
    application.setStyleSheet(STYLE)


STYLE = f"""
QWidget {{ color: {TEXT}; }}
QMainWindow, QWidget#ground {{ background: {GROUND}; }}
QFrame#panel {{ background: {PANEL}; border-radius: 8px; }}
QLabel#caption {{ color: {QUIET}; }}
QToolTip {{ background: {RAISED}; color: {TEXT}; border: 1px solid {LINE}; padding: 6px; }}
QPushButton {{
    background: {RAISED}; border: 1px solid {LINE}; border-radius: 6px;
    padding: 5px 12px; min-height: 1.4em;
}}
QPushButton:hover {{ border-color: {QUIET}; }}
QPushButton:pressed {{ background: {LINE}; }}
QPushButton:focus {{ border: 1px solid {ACCENT}; }}
QPushButton:disabled {{ color: {LINE}; }}
QPushButton:checked {{ background: {CHOSEN}; border-color: {ACCENT}; }}
QPushButton:checked:focus {{ border-color: {TEXT}; }}
QPushButton#small {{ padding: 2px 8px; }}
QPushButton#plain {{ background: transparent; border: 1px solid transparent; padding: 2px 6px;
    color: {QUIET}; }}
QPushButton#plain:hover, QPushButton#plain:focus {{ color: {TEXT}; border-color: {LINE}; }}
QPushButton#record:checked {{ background: {ALARM}; border-color: {ALARM}; color: {GROUND}; }}
QPushButton#mute:checked {{ background: {WARNING}; border-color: {WARNING}; color: {GROUND}; }}
QPushButton#panic {{ border: 1px solid {ALARM}; color: {ALARM}; font-weight: bold; }}
QPushButton#panic:pressed {{ background: {ALARM}; color: {GROUND}; }}
QLineEdit, QAbstractSpinBox {{
    background: {WELL}; border: 1px solid {LINE}; border-radius: 6px; padding: 4px 8px;
    selection-background-color: {ACCENT}; selection-color: {GROUND};
}}
QLineEdit:focus, QAbstractSpinBox:focus {{ border-color: {ACCENT}; }}
"""
