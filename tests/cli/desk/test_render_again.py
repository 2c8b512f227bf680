"""A take rendered again with more steps: the same performance, nothing given up."""

from __future__ import annotations

from lmdm.cli.render import _with_steps
from lmdm.live.controls import Controls
from lmdm.live.messages import NoteOn, SetEconomy, SetGuidance, SetSteps
from lmdm.live.take import Applied, Take, TakeHeader


def test_steps_are_the_only_thing_that_changes():
    controls = Controls(prompts=(("choir", 1.0),), steps=2, seed=9)
    entries = (
        Applied(0, SetGuidance(2.0)),
        Applied(10, SetSteps(1)),
        Applied(20, NoteOn(60)),
        Applied(30, SetEconomy(2)),
    )
    header = TakeHeader("starter", "0" * 64, controls, 4)
    finer = _with_steps(Take(header, entries, (), 5, 100), 16)
    assert finer.header.controls.steps == 16
    assert finer.header.controls.seed == 9
    assert finer.header.controls.prompts == controls.prompts
    assert finer.controls == (entries[0], entries[2])
    assert (finer.start, finer.samples) == (5, 100)
