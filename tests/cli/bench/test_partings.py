"""Where a control parts the sound from what it would have been without it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from lmdm.checkpoints import Model, load
from lmdm.cli.bench.partings import partings
from lmdm.live import messages as m
from lmdm.live.controls import Controls
from lmdm.live.session import Session
from lmdm.live.take import Applied, Held, Take, TakeHeader

FRAME = 2048


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> Model:
    torch.set_num_threads(1)
    return load(tiny_model)


def take_of(model: Model, controls: list[Applied], holds: tuple[Held, ...] = ()) -> Take:
    header = TakeHeader(
        model.name, model.sha256, Controls(seed=2), model.stream_config.block_frames
    )
    return Take(header, tuple(controls), holds, 0, 60_000)


def test_a_control_parts_the_sound_where_its_frame_begins_and_one_without_effect_never(model):
    key, label = Applied(9 * FRAME, m.NoteOn(60)), Applied(12 * FRAME, m.SetSection("verse"))
    heard, found = partings(model, take_of(model, [key, label]), {"note_on", "set_section"})
    delay = Session(model, Controls()).delay_samples
    (note,), (section,) = found["note_on"], found["set_section"]
    assert 9 * FRAME - delay <= note.changed <= 9 * FRAME + FRAME
    assert note.plain is None or note.plain >= note.changed
    assert (section.changed, section.plain) == (None, None)
    assert len(heard) >= 60_000 and np.abs(heard).max() > 0.0


def test_loops_before_a_control_move_it(model):
    key = Applied(9 * FRAME, m.NoteOn(60))
    _, plain = partings(model, take_of(model, [key]), {"note_on"})
    _, moved = partings(model, take_of(model, [key], (Held(5000, 700),)), {"note_on"})
    assert moved["note_on"][0].changed == plain["note_on"][0].changed + 700
