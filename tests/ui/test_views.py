"""Snapshots drive the views; every control is described; nothing repaints without cause."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PyQt6.QtCore import QEvent, QObject, Qt
from PyQt6.QtWidgets import (
    QAbstractButton,
    QAbstractSlider,
    QAbstractSpinBox,
    QLineEdit,
    QScrollBar,
    QWidget,
)

from lmdm.errors import InputError
from lmdm.live.messages import Landed, Latency, Memorization, SetGuidance, Snapshot
from ui.hearing import Hearing
from ui.main_window import MainWindow
from ui.stage import Stage


def test_values_are_shown(panel):
    panel.show(guidance=4.4, steps=11, bpm=81.0, drums=False, notes_mode="follow", seed=99,
               gain_db=-6.0, loudness_db=-20.0, chord=(0, 4), sustain=True)  # fmt: skip
    window = panel.window
    assert window.macros.shape.guidance.number == 4.4
    assert window.macros.chance.steps.number == 11
    assert window.macros.shape.loudness.number == -20.0
    assert window.macros.shape.drums.value is False
    assert window.macros.shape.notes.value == "follow"
    assert window.macros.chance.seed.value() == 99
    assert window.transport.tempo.value() == 81.0
    assert window.output.gain.number == -6.0
    assert window.output.reading.text() == "−6.0 dB"
    assert [button.isChecked() for button in window.key_row.chord[:5]] == [
        True, False, False, False, True,
    ]  # fmt: skip
    assert window.key_row.sustain.isChecked()


def test_a_value_beyond_the_dial_is_still_told(panel):
    panel.show(steps=40)
    assert panel.window.macros.chance.steps.number == 40
    assert panel.took() == []


def test_prompts_and_their_shares_are_shown(panel):
    panel.show(prompts=(("a", 1.0), ("b", 3.0), ("c", 0.0)))
    pads = panel.window.prompts.pads
    assert [pad.text.text() for pad in pads] == ["a", "b", "c"]
    assert [pad.share.text() for pad in pads] == ["25 %", "75 %", "0 %"]
    panel.show(prompts=(("a", 1.0), ("b", 3.0)), blend=0.4)
    assert [pad.share.text() for pad in panel.window.prompts.pads] == ["60 %", "40 %"]
    assert panel.window.blend.point == pytest.approx((0.4, 0.5))


def test_heard_notes_are_marked(panel):
    panel.show(held=(60, 64))
    assert panel.window.keys.heard == {60, 64}


def test_the_clock_tells_bar_and_beat_and_goes_on_between_reports(panel):
    clock = panel.window.transport.beat_clock
    clock._clock = lambda: panel.now
    panel.show(heard_beat=9.5, bpm=120.0, heard=1)
    assert clock.place == (3, 2)
    panel.now += 0.3
    assert clock.place == (3, 3)
    panel.now += 60.0  # the engine is silent: it does not run away
    assert clock.place == (3, 3)


def test_the_state_is_told_in_words(panel):
    lamp = panel.window.transport.lamp
    for values, words in (
        ({"status": "loading", "progress": 0.62}, "Loading 62 %"),
        ({"status": "playing"}, "Playing"),
        ({"status": "playing", "muted": True}, "Muted"),
        ({"status": "failed", "text": "no weights"}, "Failed"),
    ):
        panel.show(**values)
        assert lamp.phrase.text == words


def test_the_status_line_speaks_plainly(panel):
    panel.show(
        latency={"block": Latency(312.4, 390.0, 9)},
        real_time_factor=0.41,
        lead_ms=620.0,
        underruns=1,
        restarts=2,
        governor="steps 4 → 2",
        device="Speakers",
        midi="Launchkey",
        model="starter",
    )
    status = panel.window.status
    assert [phrase.text for phrase in status.left] == [
        "block 312 ms", "load 41 %", "0.62 s ahead", "1 dropout", "restarted 2 times",
        "steps 4 → 2",
    ]  # fmt: skip
    assert [phrase.text for phrase in status.right] == ["starter", "Speakers", "Launchkey"]
    panel.show(real_time_factor=1.3)
    assert any(phrase.tone == "alarm" for phrase in status.left)


@pytest.mark.parametrize(
    ("state", "words", "tone", "place"),
    [
        ("near", "close to the training set", "alarm", 0),
        ("unusual", "unusual updates", "warning", 0),
        ("clear", "no copy seen", "good", -2),
        ("unknown", "copies unknown", "quiet", -2),
    ],
)
def test_the_memorization_light_comes_first_when_it_is_lit(panel, state, words, tone, place):
    panel.show(memorization=Memorization(state, "close to a piece at 0:31"))
    phrase = panel.window.status.left[place]
    assert (phrase.text, phrase.tone, phrase.lamp) == (words, tone, True)
    assert "Close to a piece at 0:31." in phrase.meaning
    panel.show(memorization=Memorization())
    assert not any(phrase.lamp for phrase in panel.window.status.left)


def test_meters_hold_clip_until_clicked(panel, qtbot):
    meter = panel.window.output.meter
    panel.show(peak_db=(-0.1, -3.0))
    panel.show(peak_db=(-20.0, -20.0))
    assert meter.clipped
    qtbot.mouseClick(meter, Qt.MouseButton.LeftButton)
    assert not meter.clipped


def test_recording_time_counts_what_was_heard(panel):
    panel.show(recording="takes/1", heard=44100)
    panel.show(heard=44100 * 76)
    assert panel.window.safety.record.text() == "1:15"
    panel.show(recording="")
    assert panel.window.safety.record.text() == "Record"


def test_the_banner_comes_and_goes_with_the_engines_trouble(panel):
    banner = panel.window.banner
    assert banner.text == ""
    panel.show(status="restarting", text="a new engine is starting")
    assert banner.text == "A new engine is starting"
    banner.dismiss.click()
    panel.show(underruns=3)
    assert banner.text == ""  # dismissed is dismissed
    panel.show(status="playing", text="")
    panel.show(status="failed", text="the weights are damaged")
    assert banner.text == "The weights are damaged"
    panel.show(status="playing", text="")
    assert banner.text == ""


def test_the_banner_counts_what_repeats_and_keeps_it_until_dismissed(panel):
    panel.fault = InputError("guidance cannot be set now")
    for _ in range(3):
        panel.stage.send(SetGuidance(2.0))
    assert panel.window.banner.text == "Guidance cannot be set now (×3)"
    panel.fault = None
    panel.show(underruns=1)
    assert panel.window.banner.text
    panel.window.banner.dismiss.click()
    assert panel.window.banner.text == ""


def sends_nothing(window: MainWindow, widget: QWidget) -> bool:
    """Whether a control acts on the panel only, and so has no lane."""
    row = window.key_row
    own = (window.lock, window.menu_button, row.octave_up, row.octave_down, row.softer, row.louder)
    places = (window.banner, window.tour, window.help, window.learn_card)
    return (
        widget in own
        or widget.objectName() == "tab"
        or any(place.isAncestorOf(widget) for place in places)
    )


def test_every_control_has_a_name_a_tooltip_and_its_lane(panel):
    kinds = (QAbstractButton, QAbstractSlider, QAbstractSpinBox, QLineEdit)
    found = 0
    for widget in panel.window.findChildren(QWidget):
        inner = isinstance(widget.parent(), QAbstractSpinBox) or isinstance(widget, QScrollBar)
        if not isinstance(widget, kinds) or inner:
            continue
        found += 1
        assert widget.accessibleName(), widget
        assert widget.toolTip(), widget.accessibleName()
        if not sends_nothing(panel.window, widget):
            assert "Lane:" in widget.toolTip(), widget.accessibleName()
    assert found > 80


def test_focus_goes_round_from_top_to_bottom(panel):
    window = panel.window
    order = []
    widget = window.transport.tempo
    for _ in range(400):
        order.append(widget)
        widget = widget.nextInFocusChain()
        if widget is window.transport.tempo:
            break
    wanted = [
        window.transport.tempo,
        window.transport.tap_button,
        window.safety.record,
        window.safety.panic,
        window.prompts.pads[0].text,
        window.prompts.pads[0].weight,
        window.prompts.pads[1].text,
        window.blend,
        window.macros.shape.guidance,
        window.output.gain,
        window.key_row.sustain,
        window.keys,
    ]
    places = [order.index(each) for each in wanted]
    assert places == sorted(places)


class Paints(QObject):
    """Counts paint events of a window's widgets."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802
        if event is not None and event.type() == QEvent.Type.Paint:
            self.count += 1
        return False


def test_nothing_is_repainted_while_nothing_changes(panel, qapp):
    for _ in range(200):  # peak lines sink to the floor
        panel.tick()
    qapp.processEvents()
    paints = Paints()
    for widget in panel.window.findChildren(QWidget):
        widget.installEventFilter(paints)
    for _ in range(10):
        panel.tick()
        qapp.processEvents()
    assert paints.count == 0
    panel.show(guidance=3.3)
    qapp.processEvents()
    assert paints.count > 0


def listening(qtbot) -> tuple[Hearing, Stage, MainWindow, list[Snapshot]]:
    """A window that hears, and the list whose last snapshot it is shown."""
    hearing, shown = Hearing(), [Snapshot(status="playing", heard=44100)]
    stage = Stage(lambda message: None, lambda: shown[-1])
    window = MainWindow(stage, hearing.take)
    qtbot.addWidget(window)
    window.show()
    stage.tick()
    return hearing, stage, window, shown


def test_sound_is_drawn(qtbot):
    hearing, stage, window, _ = listening(qtbot)
    before = window.sound.grab().toImage()
    noise = np.random.default_rng(0).standard_normal((44100, 2)).astype(np.float32) * 0.3
    hearing.hear(noise, 0)
    for _ in range(3):  # the sound is asked for every third frame
        stage.tick()
    assert window.sound.grab().toImage() != before


def test_changes_are_marked_where_they_landed_and_once(qtbot):
    _, stage, window, shown = listening(qtbot)
    landed = (Landed("set_guidance", "2", 44100 + 22050, 310.0),)
    for heard in (44100, 48000):  # the engine tells the newest landings again and again
        shown.append(replace(shown[-1], heard=heard, landed=landed))
        stage.tick()
    (mark,) = window.sound.timeline.marks
    assert (mark.lane, mark.words) == ("block", "guidance 2")
    assert mark.column - window.sound.timeline.head == pytest.approx(30, abs=1)  # half a second


def test_every_view_paints_at_small_and_large_sizes(panel, qapp):
    for count in range(7):
        panel.show(prompts=tuple((f"prompt {index}", 1.0) for index in range(count)))
        for wide, tall in ((1000, 640), (1920, 1080)):
            panel.window.resize(wide, tall)
            picture = panel.window.grab().toImage()
            assert not picture.isNull()
    assert panel.window.minimumSizeHint().width() <= 1280
    assert panel.window.minimumSizeHint().height() <= 800
