"""Messages as people type them."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmdm.errors import InputError
from lmdm.live.messages import (
    Message,
    Mute,
    RecallScene,
    ResetContext,
    SetDrums,
    SetMapping,
    SetPrompts,
    SetTempo,
    StoreScene,
)
from lmdm.live.messages.loose import typed


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("set_tempo 97.5", SetTempo(97.5)),
        ("  reset_context ", ResetContext()),
        ("mute on", Mute(True)),
        ("mute off", Mute(False)),
        ("set_drums none", SetDrums(None)),
        ("recall_scene 'verse two' bar", RecallScene("verse two", "bar")),
        ("store_scene 2", StoreScene("2")),
        ('set_prompts "felt piano" 1 choir 0.5', SetPrompts((("felt piano", 1), ("choir", 0.5)))),
        ("set_mapping cc:1:20 mute 0 1 jump", SetMapping("cc:1:20", "mute", 0, 1, "jump")),
    ],
)  # fmt: skip
def test_a_line_is_a_message(line: str, message: Message) -> None:
    assert typed(line) == message


@pytest.mark.parametrize(
    "line", ["", "warp 9", "set_tempo", "set_tempo fast", "mute 'on", "mute 7"]
)
def test_what_is_none_is_told(line: str) -> None:
    with pytest.raises(InputError):
        typed(line)


@given(st.text(max_size=60))
def test_any_line_is_a_message_or_one_sentence(line: str) -> None:
    for each in (line, f"set_prompts {line}", f"note_on {line}"):
        with contextlib.suppress(InputError):
            typed(each)
