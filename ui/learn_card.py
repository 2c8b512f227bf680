"""The card beside a control that learns: what comes in, live, and how it shall act."""

from __future__ import annotations

from PyQt6.QtCore import QPoint, QRectF, QSize, Qt
from PyQt6.QtGui import QPainter, QPaintEvent
from PyQt6.QtWidgets import (
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from lmdm.live.messages import (
    ENCODINGS,
    TAKEOVERS,
    CancelLearn,
    ControllerMapping,
    ForgetMapping,
    SetMapping,
    Snapshot,
)
from ui import theme
from ui.learn import all_taught, name_of, target_of
from ui.picker import Picker
from ui.sources import moved, source_words
from ui.stage import Stage

CARD_LINES = 22.0  # width, in lines of text
TAKEOVER_WORDS = {
    "pickup": "Pick up: waits for the value",
    "scale": "Scale: closes in on it",
    "jump": "Jump: acts at once",
}
ENCODING_WORDS = {
    "absolute": "Knob or fader",
    "toggle": "Button: on, off",
    "trigger": "Button: while pressed",
    "relative-signed": "Endless, signed bit",
    "relative-offset": "Endless, offset 64",
    "relative-two": "Endless, two's complement",
}


class InputBar(QWidget):
    """A controller's value as a bar."""

    def __init__(self) -> None:
        super().__init__()
        self.share: float | None = None
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("Incoming value")

    def sizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        """A thin bar."""
        return QSize(120, round(self.fontMetrics().height() * 0.7))

    def show_share(self, share: float | None) -> None:
        """0 to 1; None while nothing came."""
        if share != self.share:
            self.share = share
            self.update()

    def paintEvent(self, _event: QPaintEvent | None) -> None:  # noqa: N802
        """A track, filled."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.colour(theme.WELL))
        box = QRectF(self.rect())
        painter.drawRoundedRect(box, 4, 4)
        if self.share is not None:
            painter.setBrush(theme.colour(theme.FRESH))
            painter.drawRoundedRect(
                QRectF(0, 0, max(6.0, box.width() * self.share), box.height()), 4, 4
            )


class LearnCard(QFrame):
    """Opens when learning begins, stays to set the mapping right, and never blocks the panel."""

    def __init__(self, stage: Stage, window: QWidget) -> None:
        super().__init__(window)
        self._stage = stage
        self._window = window
        self._target = ""
        self._before: tuple[ControllerMapping, ...] = ()
        self.mapping: ControllerMapping | None = None
        self.setObjectName("card")
        self.title, self.text, self.incoming = QLabel(), QLabel(), QLabel()
        self.title.setObjectName("title")
        self.text.setWordWrap(True)
        self.incoming.setObjectName("quiet")
        self.bar = InputBar()
        self.takeover: Picker[str] = Picker(
            "Takeover",
            "What a knob does that does not stand where the control stands.",
            tuple((TAKEOVER_WORDS[each], each) for each in TAKEOVERS),
        )
        self.encoding: Picker[str] = Picker(
            "Sends",
            "How the controller's values are meant.",
            tuple((ENCODING_WORDS[each], each) for each in ENCODINGS),
        )
        self.reverse = QPushButton("Turn round")
        self.reverse.setObjectName("small")
        self.reverse.setCheckable(True)
        theme.describe(self.reverse, "Turn round", "The controller's lowest gives the highest.")
        self.takeover.chosen.connect(lambda _: self._change())
        self.encoding.chosen.connect(lambda _: self._change())
        self.reverse.clicked.connect(lambda _: self._change())
        self.cancel = QPushButton("Cancel")
        self.forget = QPushButton("Forget")
        self.done = QPushButton("Done")
        self.done.setObjectName("main")
        theme.describe(self.cancel, "Cancel", "Nothing is mapped.", None, "Esc")
        theme.describe(self.forget, "Forget", "This mapping is taken away again.")
        theme.describe(self.done, "Done", "The mapping stays as it is.", None, "Enter")
        self.cancel.clicked.connect(self._cancel)
        self.forget.clicked.connect(self._forget)
        self.done.clicked.connect(self.hide)
        self._lay_out()
        self.hide()
        stage.changed.connect(self.show_snapshot)

    def _lay_out(self) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 12, 16, 12)
        column.setSpacing(8)
        for widget in (self.title, self.text, self.incoming, self.bar):
            column.addWidget(widget)
        self.settings = QWidget()
        grid = QGridLayout(self.settings)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(6)
        for row, (name, picker) in enumerate(
            (("Takeover", self.takeover), ("Sends", self.encoding))
        ):
            label = QLabel(name)
            label.setObjectName("quiet")
            grid.addWidget(label, row, 0)
            grid.addWidget(picker, row, 1)
        grid.addWidget(self.reverse, 2, 1)
        grid.setColumnStretch(1, 1)
        column.addWidget(self.settings)
        buttons = QHBoxLayout()
        buttons.addStretch(1)
        for button in (self.cancel, self.forget, self.done):
            buttons.addWidget(button)
        column.addLayout(buttons)

    # --- what it shows --------------------------------------------------------------------------

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """Opens when a control learns; shows what comes in; then how it is mapped."""
        if snapshot.learning and (snapshot.learning != self._target or self.isHidden()):
            self._begin(snapshot)
        elif self.isHidden():
            return
        came = moved(snapshot.last_controller)
        mapping = self._new_mapping(snapshot)
        if mapping is not None:
            self._show_mapping(mapping)
        elif not snapshot.learning and self.mapping is None:
            self.hide()  # given up elsewhere
            return
        elif self.mapping is not None and mapping is None:
            self.hide()  # forgotten
            return
        self._show_incoming(came.source if came else "", came.value if came else 0)
        self.bar.show_share(came.share if came else None)

    def _begin(self, snapshot: Snapshot) -> None:
        self._target = snapshot.learning
        self._before = snapshot.mappings
        self.mapping = None
        self._name = self._target.replace("_", " ")
        anchor = None
        for widget in all_taught(self._window):
            if target_of(widget) == self._target:
                self._name, anchor = name_of(widget), widget
        self.title.setText(f"Learn: {self._name}")
        self.text.setText("Move a knob, a fader or a pad of your controller now.")
        self.setAccessibleName(f"Learning a controller for {self._name}")
        self._show_settings(False)
        self.show()
        self._place(anchor)
        self.raise_()

    def _new_mapping(self, snapshot: Snapshot) -> ControllerMapping | None:
        """The mapping of the target; while learning, one that was not there before."""
        found = [each for each in snapshot.mappings if each.target == self._target]
        if snapshot.learning:
            return None
        fresh = [each for each in found if each not in self._before] or found
        if self.mapping is not None:
            fresh = [each for each in found if each.source == self.mapping.source]
        return fresh[-1] if fresh else None

    def _show_mapping(self, mapping: ControllerMapping) -> None:
        if self.mapping is None:
            self._show_settings(True)
            self.text.setText(f"{source_words(mapping.source)} now moves {self._name}.")
            self._place(None)
        self.mapping = mapping
        self.takeover.show_value(mapping.takeover)
        self.encoding.show_value(mapping.encoding)
        self.reverse.setChecked(mapping.low > mapping.high)

    def _show_incoming(self, source: str, value: int) -> None:
        words = f"{source_words(source)}: {value}" if source else "Nothing has come in yet."
        if words != self.incoming.text():
            self.incoming.setText(words)

    def _show_settings(self, on: bool) -> None:
        self.settings.setVisible(on)
        self.forget.setVisible(on)
        self.done.setVisible(on)
        self.cancel.setVisible(not on)

    def _place(self, anchor: QWidget | None) -> None:
        """Beside the control it is about, wholly within the window."""
        wide = round(CARD_LINES * self.fontMetrics().height())
        self.setFixedWidth(min(wide, self._window.width() - 20))
        self.adjustSize()
        tall = self.sizeHint().height()
        if anchor is not None:
            corner = anchor.mapTo(self._window, QPoint(0, 0))
            x = corner.x() + anchor.width() + 12
            if x + self.width() > self._window.width() - 8:
                x = corner.x() - self.width() - 12
            y = corner.y()
        else:
            x, y = self.x(), self.y()
        x = min(max(x, 8), self._window.width() - self.width() - 8)
        y = min(max(y, 8), self._window.height() - tall - 8)
        self.setGeometry(x, y, self.width(), tall)

    # --- what it sends --------------------------------------------------------------------------

    def _change(self) -> None:
        mapping = self.mapping
        if mapping is None:
            return
        low, high = sorted((mapping.low, mapping.high))
        if self.reverse.isChecked():
            low, high = high, low
        self._stage.send(
            SetMapping(
                mapping.source,
                mapping.target,
                low,
                high,
                self.takeover.value or mapping.takeover,
                self.encoding.value or mapping.encoding,
            )
        )

    def _cancel(self) -> None:
        self._stage.send(CancelLearn())
        self.hide()

    def _forget(self) -> None:
        self._stage.send(ForgetMapping(self._target))
        self.hide()

    def give_up(self) -> bool:
        """Escape: cancels learning, or closes the card; whether there was anything to close."""
        if self.isHidden():
            return False
        if self.mapping is None:
            self._cancel()
        else:
            self.hide()
        return True
