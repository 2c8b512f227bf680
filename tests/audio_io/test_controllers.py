"""Knobs of every kind: plain, 14-bit, parameter numbers, bend; encoders; MPE."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio_io.controllers import KINDS, Controllers, Source, Turn
from audio_io.encoders import RELATIVE, guess, steps
from audio_io.midi_events import ChannelPressure, ControlChange, NoteOn, PitchBend, parse
from lmdm.errors import InputError


def turns(*controls: tuple[int, int], channel: int = 0) -> list[tuple[str, float]]:
    """The movements that these (control, value) pairs make, as (source, value)."""
    controllers = Controllers()
    return [
        (str(turn.source), turn.value)
        for control, value in controls
        for turn in controllers.feed(ControlChange(0.0, channel, control, value))
    ]


def test_plain_controllers_reach_both_ends() -> None:
    assert turns((74, 0), (74, 127)) == [("cc:1:74", 0.0), ("cc:1:74", 1.0)]


def test_a_pair_is_told_when_its_lower_half_arrives() -> None:
    said = turns((1, 64), (33, 5), (1, 127), (33, 127), (33, 126))
    fine = [value for source, value in said if source == "cc14:1:1"]
    assert fine == [64 / 127, (64 * 128 + 5) / 16383, 1.0, (127 * 128 + 126) / 16383]


def test_nrpn_with_7_and_14_bits_and_increments() -> None:
    assert turns((99, 2), (98, 44), (6, 127)) == [("nrpn:1:300", 1.0)]
    fine = turns((99, 2), (98, 44), (6, 64), (38, 0), (6, 100), (38, 1))
    assert fine == [
        ("nrpn:1:300", 64 / 127), ("nrpn:1:300", 64 * 128 / 16383), ("nrpn:1:300", 12801 / 16383),
    ]  # fmt: skip
    controllers = Controllers()
    for control, value in ((101, 0), (100, 1)):
        controllers.feed(ControlChange(0.0, 3, control, value))
    source = Source("rpn", 3, 1)
    assert controllers.feed(ControlChange(0.0, 3, 96, 0)) == (Turn(source, 0.0, steps=1),)
    assert controllers.feed(ControlChange(0.0, 3, 97, 0)) == (Turn(source, 0.0, steps=-1),)


def test_data_entry_without_a_parameter_is_a_plain_controller() -> None:
    assert ("cc:1:6", 1.0) in turns((6, 127))
    assert ("cc:1:6", 1.0) in turns((101, 127), (100, 127), (6, 127))


def test_bend_rests_exactly_in_the_middle() -> None:
    controllers = Controllers()
    values = [controllers.feed(PitchBend(0.0, 0, bend))[0].value for bend in (-8192, 0, 8191)]
    assert values == [0.0, 0.5, 1.0]


def test_mpe_notes_keep_their_bend_timbre_and_pressure_to_themselves() -> None:
    controllers = Controllers()
    for control, value in ((101, 0), (100, 6), (6, 5)):
        assert controllers.feed(ControlChange(0.0, 0, control, value)) == ()
    assert controllers.note_channels == frozenset(range(1, 6))
    for event in (
        PitchBend(0.0, 3, 99), ControlChange(0.0, 3, 74, 9), ChannelPressure(0.0, 3, 9),
    ):  # fmt: skip
        assert controllers.feed(event) == ()
    assert controllers.feed(PitchBend(0.0, 0, 99)) != ()
    assert controllers.feed(ControlChange(0.0, 6, 74, 9)) != ()
    assert controllers.feed(NoteOn(0.0, 3, 60, 9)) != ()
    for control, value in ((101, 0), (100, 6), (6, 0)):
        controllers.feed(ControlChange(0.0, 0, control, value))
    assert controllers.note_channels == frozenset()


@given(data=st.binary(max_size=300))
def test_no_bytes_take_a_control_out_of_its_range(data: bytes) -> None:
    controllers = Controllers()
    for event in parse(data, 0.0):
        for turn in controllers.feed(event):
            assert 0.0 <= turn.value <= 1.0
            assert Source.parse(str(turn.source)) == turn.source


@pytest.mark.parametrize(
    "text",
    [
        "",
        "cc",
        "cc:1",
        "cc:1:128",
        "cc:0:1",
        "cc:17:1",
        "cc:1:-1",
        "knob:1:1",
        "bend:1:1",
        "cc:1:²",
        "cc:1:1:1",
    ],
)
def test_what_is_no_source_is_told(text: str) -> None:
    with pytest.raises(InputError, match="is no MIDI control"):
        Source.parse(text)


@given(st.sampled_from(sorted(KINDS)), st.integers(0, 127), st.integers(0, 15))
def test_a_source_without_channel_is_met_on_any(kind: str, number: int, channel: int) -> None:
    number %= KINDS[kind]
    arrived = Source(kind, channel, number)
    assert Source(kind, None, number).matches(arrived)
    assert arrived.matches(arrived)
    assert not Source(kind, (channel + 1) % 16, number).matches(arrived)
    assert Source.parse(str(Source(kind, None, number))) == Source(kind, None, number)


@given(st.integers(0, 127))
def test_encodings_agree_with_their_definitions(value: int) -> None:
    assert steps(value, "relative-two") == (value + 64) % 128 - 64
    assert steps(value, "relative-offset") == value - 64
    assert steps(value, "relative-signed") == (-1 if value & 64 else 1) * (value & 63)


@pytest.mark.parametrize("encoding", RELATIVE)
@given(moves=st.lists(st.integers(-5, 5).filter(bool), min_size=4, max_size=30))
def test_an_encoder_turned_both_ways_is_recognised(encoding: str, moves: list[int]) -> None:
    value = {step: raw for raw in range(128) if abs(step := steps(raw, encoding)) <= 5}
    found, sure = guess([value[move] for move in (1, 1, -1, -1, *moves)])
    assert (found, sure) == (encoding, True)


@given(st.integers(0, 120), st.integers(1, 3), st.integers(3, 20), st.booleans())
def test_a_turned_knob_is_absolute(start: int, stride: int, count: int, down: bool) -> None:
    path = list(range(start, 128, stride))[:count]
    path = path[::-1] if down else path
    if len(path) >= 3:
        assert guess(path) == ("absolute", True)


def test_buttons_and_doubtful_beginnings() -> None:
    assert guess([127]) == ("toggle", False)
    assert guess([127, 0]) == ("toggle", True)
    assert guess([1, 1, 1])[1] is False
    assert guess([40]) == ("absolute", True)
