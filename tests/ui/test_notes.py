"""The computer's keys play, and no note is ever left hanging."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from PyQt6.QtCore import QEvent, Qt
from PyQt6.QtGui import QKeyEvent
from PyQt6.QtWidgets import QApplication

from lmdm.live.messages import Message, NoteOff, NoteOn
from ui.keys import LETTERS, PlayedKeys

sources = st.sampled_from(["mouse", *LETTERS])
actions = st.lists(
    st.tuples(st.sampled_from(["press", "release", "octave"]), sources, st.integers(0, 127))
)


@given(actions)
def test_every_note_that_begins_ends_once(steps):
    sent: list[Message] = []
    keys = PlayedKeys(sent.append)
    for action, source, number in steps:
        if action == "press":
            keys.press(source, number)
        elif action == "release":
            keys.release(source)
        else:
            keys.octave = number % 12 - 2
    keys.release_all()
    sounding: set[int] = set()
    for message in sent:
        if isinstance(message, NoteOn):
            assert message.pitch not in sounding
            sounding.add(message.pitch)
        else:
            assert isinstance(message, NoteOff)
            sounding.remove(message.pitch)
    assert not sounding


@given(st.integers(-5, 20), st.sampled_from(LETTERS))
def test_letters_and_pitches_agree(octave, letter):
    keys = PlayedKeys(lambda message: None)
    keys.octave = octave
    pitch = keys.letter_pitch(letter)
    if pitch is not None:
        assert 0 <= pitch <= 127
        assert keys.letter_of(pitch) == letter


def test_letters_play_chords(panel, qtbot):
    keys = panel.window.keys
    for key in (Qt.Key.Key_A, Qt.Key.Key_D, Qt.Key.Key_G):
        qtbot.keyPress(keys, key)
    assert panel.took() == [NoteOn(60), NoteOn(64), NoteOn(67)]
    qtbot.keyRelease(keys, Qt.Key.Key_D)
    assert panel.took() == [NoteOff(64)]
    assert panel.window.played.pitches == {60, 67}


def test_letters_play_whatever_control_has_the_focus(panel, qtbot):
    panel.window.macros.shape.guidance.setFocus()
    qtbot.keyClick(panel.window.macros.shape.guidance, Qt.Key.Key_W)
    assert panel.took() == [NoteOn(61), NoteOff(61)]


def test_a_held_letter_is_one_note(panel):
    keys = panel.window.keys
    for kind, repeat in (
        (QEvent.Type.KeyPress, False),
        (QEvent.Type.KeyRelease, True),
        (QEvent.Type.KeyPress, True),
        (QEvent.Type.KeyRelease, False),
    ):
        event = QKeyEvent(kind, Qt.Key.Key_A, Qt.KeyboardModifier.NoModifier, "a", repeat)
        QApplication.sendEvent(keys, event)
    assert panel.took() == [NoteOn(60), NoteOff(60)]


def test_octave_shift_does_not_strand_a_note(panel, qtbot):
    keys = panel.window.keys
    qtbot.keyPress(keys, Qt.Key.Key_A)
    qtbot.keyClick(keys, Qt.Key.Key_X)
    qtbot.keyRelease(keys, Qt.Key.Key_A)
    qtbot.keyClick(keys, Qt.Key.Key_A)
    assert panel.took() == [NoteOn(60), NoteOff(60), NoteOn(72), NoteOff(72)]
    assert panel.window.key_row.octave.text() == "octave 5"


def test_softer_and_louder(panel, qtbot):
    keys = panel.window.keys
    qtbot.keyClick(keys, Qt.Key.Key_C)
    qtbot.keyClick(keys, Qt.Key.Key_A)
    (played, _) = panel.took()
    assert played.velocity < 100


def test_losing_the_window_lets_every_note_go(panel, qtbot):
    keys = panel.window.keys
    qtbot.keyPress(keys, Qt.Key.Key_A)
    qtbot.keyPress(keys, Qt.Key.Key_S)
    panel.took()
    QApplication.sendEvent(panel.window, QEvent(QEvent.Type.WindowDeactivate))
    assert set(panel.took()) == {NoteOff(60), NoteOff(62)}
    qtbot.keyRelease(keys, Qt.Key.Key_A)
    assert panel.took() == []


def test_a_note_ends_even_when_words_are_being_typed_by_then(panel, qtbot):
    qtbot.keyPress(panel.window.keys, Qt.Key.Key_A)
    text = panel.window.prompts.pads[0].text
    text.setFocus()
    qtbot.keyRelease(text, Qt.Key.Key_A)
    assert panel.took() == [NoteOn(60), NoteOff(60)]


def test_shortcuts_are_not_notes(panel, qtbot):
    qtbot.keyClick(panel.window.keys, Qt.Key.Key_S, Qt.KeyboardModifier.ControlModifier)
    assert panel.took() == []


def test_panic_forgets_held_keys(panel, qtbot):
    qtbot.keyPress(panel.window.keys, Qt.Key.Key_A)
    panel.window.safety.press_panic()
    assert panel.window.played.pitches == frozenset()
