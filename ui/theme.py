"""Colours, type and the style sheet: dark, calm, and legible at arm's length.

Hues are those of Okabe and Ito ("Color Universal Design", 2008), lightened where they carry text on
a dark ground, so that no pair is told apart by red against green alone. Colour never says anything
by itself: prompts also carry letters, lanes carry shapes, states carry words.
"""

from __future__ import annotations

from functools import lru_cache

from PyQt6.QtCore import QPointF
from PyQt6.QtGui import QColor, QFont, QPalette, QPolygonF
from PyQt6.QtWidgets import QApplication, QWidget

from lmdm.live.messages import Lane
from ui import style
from ui.palette import (
    ACCENT,
    AHEAD,
    ALARM,
    CHOSEN,
    FAINT,
    FRESH,
    GROUND,
    LINE,
    PANEL,
    QUIET,
    RAISED,
    TEXT,
    WARNING,
    WELL,
)

__all__ = [
    "ACCENT", "AHEAD", "ALARM", "CHOSEN", "FAINT", "FRESH", "GROUND", "LINE", "PANEL", "QUIET",
    "RAISED", "TEXT", "WARNING", "WELL", "apply", "colour", "describe", "font",
    "lane_shape", "mixed",
]  # fmt: skip

PROMPT_COLOURS = ("#6cc1f2", "#f0b429", "#34c39a", "#e796c4", "#f5ec6b", "#ff7a59")
PROMPT_LETTERS = "ABCDEF"

LANE_COLOURS: dict[Lane, str] = {"instant": "#f5ec6b", "block": "#6cc1f2", "scene": "#e796c4"}
LANE_WORDS: dict[Lane, str] = {
    "instant": "acts at once, in the sound itself",
    "block": "acts from the next piece of music that is made",
    "scene": "waits for the next beat or bar",
}

POINTS = 10.5  # body text, in points; everything else is a multiple of it
FAMILIES = ("Inter", "SF Pro Text", "Segoe UI", "Noto Sans", "DejaVu Sans")  # the first found
PITCH_NAMES = ("C", "C♯", "D", "D♯", "E", "F", "F♯", "G", "G♯", "A", "A♯", "B")


@lru_cache(maxsize=512)
def colour(code: str, opacity: float = 1.0) -> QColor:
    """A colour of the palette at an opacity from 0 to 1; shared, not to be changed."""
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
    made.setPointSizeF(made.pointSizeF() * scale)
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


def apply(application: QApplication, text: float = 1.0) -> None:
    """Dresses the whole application; `text` is a multiple of the usual size of letters."""
    application.setStyle("Fusion")
    face = application.font()
    face.setPointSizeF(POINTS * text)
    face.setFamilies([*FAMILIES, face.defaultFamily()])
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
        (role.Accent, ACCENT),
        (role.Link, ACCENT),
    ):
        palette.setColor(place, QColor(code))
    for place in (role.Text, role.WindowText, role.ButtonText):
        palette.setColor(QPalette.ColorGroup.Disabled, place, QColor(FAINT))
    application.setPalette(palette)
    application.setStyleSheet(style.sheet(POINTS * text))
