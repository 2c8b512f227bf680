"""Every control a knob can move: share to message, message to share."""

from __future__ import annotations

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmdm.errors import InputError
from lmdm.live.messages import (
    MESSAGES,
    Mute,
    Pause,
    Play,
    RecallScene,
    SetFreeze,
    SetGain,
    SetKey,
    SetLowPass,
    SetPad,
    SetPrompts,
    Snapshot,
    StartRecording,
    StopRecording,
    UndoBars,
)
from lmdm.live.targets import CHOICES, RANGES, SWITCHES, fields_set, target_kinds, target_of

PROMPTS = Snapshot(prompts=(("felt piano", 1.0), ("choir", 0.5)))
SNAPSHOT_FIELDS = {each.name for each in fields(Snapshot)}


def test_every_kind_is_a_message_and_every_field_is_in_the_snapshot() -> None:
    assert set(target_kinds()) <= set(MESSAGES)
    looked_at = {each.field for each in RANGES.values()} | set(SWITCHES.values())
    assert looked_at | {field for field, _ in CHOICES.values()} <= SNAPSHOT_FIELDS


@pytest.mark.parametrize("name", [*RANGES, "set_prompts:2", "set_pad:x", "set_pad:y", *CHOICES])
@given(share=st.floats(0.0, 1.0))
def test_where_a_message_moves_a_control_is_where_it_stands(name: str, share: float) -> None:
    target = target_of(name)
    message = target.message(share, lambda field: getattr(PROMPTS, field))
    assert message is not None
    moved = fields_set(message)
    assert set(moved) <= SNAPSHOT_FIELDS
    stands = target.share(moved.get)
    assert stands is not None
    coarse = target.shape == "choice" or getattr(RANGES.get(name), "whole", False)
    assert stands == pytest.approx(share, abs=0.5 if coarse else 0.011)


@pytest.mark.parametrize("name", SWITCHES)
def test_switches_go_on_and_off(name: str) -> None:
    target = target_of(name)
    for on in (True, False):
        message = target.message(float(on), {}.get)
        assert message is not None
        assert target.share(fields_set(message).get) == float(on)


def test_what_they_send() -> None:
    nothing = {}.get
    assert target_of("set_gain").message(0.0, nothing) == SetGain(-90.0)
    assert target_of("set_gain").message(1.0, nothing) == SetGain(0.0)
    assert target_of("set_low_pass").message(1.0, nothing) == SetLowPass(None)
    assert target_of("set_pad:x").message(0.25, {"pad": (0.1, 0.9)}.get) == SetPad((0.25, 0.9))
    assert target_of("mute").message(1.0, nothing) == Mute(True)
    assert target_of("set_freeze:2").message(1.0, nothing) == SetFreeze(2.0)
    assert target_of("set_freeze:2").message(0.0, nothing) == SetFreeze(None)
    assert target_of("start_recording").message(1.0, nothing) == StartRecording()
    assert target_of("start_recording").message(0.0, nothing) == StopRecording()
    assert target_of("play").message(1.0, nothing) == Play()
    assert target_of("play").message(0.0, nothing) == Pause()
    assert target_of("undo_bars:4").message(0.0, nothing) == UndoBars(4)
    assert target_of("recall_scene:verse two").message(1.0, nothing) == RecallScene("verse two")
    assert target_of("set_key").message(0.0, nothing) == SetKey(None)
    prompts = target_of("set_prompts:2").message(1.0, {"prompts": PROMPTS.prompts}.get)
    assert prompts == SetPrompts((("felt piano", 1.0), ("choir", 2.0)))
    assert target_of("set_prompts:3").message(1.0, {"prompts": PROMPTS.prompts}.get) is None


@pytest.mark.parametrize(
    "name",
    ["", "nothing", "quit", "set_prompts", "set_prompts:0", "set_prompts:x", "set_pad", "set_pad:z",
     "recall_scene", "recall_scene:", "undo_bars:x", "undo_bars:0", "set_guidance:1",
     "set_freeze:99"],
)  # fmt: skip
def test_what_is_no_target_is_told(name: str) -> None:
    with pytest.raises(InputError):
        target_of(name)
