"""Controls fold messages, blend prompts, and refuse what is not a setting."""

import json

import pytest

from lmdm.errors import InputError
from lmdm.live.controls import SETTERS, Controls
from lmdm.live.messages import NoteOn, SetBlend, SetDrums, SetPrompts, SetSteps, SetTempo


def test_every_field_has_its_message_and_the_other_way_round():
    assert list(SETTERS) == list(Controls.__dataclass_fields__)


def test_messages_fold_in_order():
    controls = Controls()
    for message in (SetSteps(2), SetTempo(90), SetDrums(True), NoteOn(60), SetSteps(8)):
        controls = controls.after(message)
    assert (controls.steps, controls.bpm, controls.drums) == (8, 90.0, True)


@pytest.mark.parametrize(
    ("blend", "expected"),
    [
        (None, (("a", 0.25), ("b", 0.75))),
        (0.0, (("a", 1.0),)),
        (1.0, (("b", 1.0),)),
        (0.5, (("a", 0.5), ("b", 0.5))),
    ],
)
def test_blend_crossfades_along_the_list(blend, expected):
    controls = Controls().after(SetPrompts((("a", 1.0), ("b", 3.0)))).after(SetBlend(blend))
    assert controls.weighted_prompts() == expected


def test_prompts_of_no_weight_are_no_prompts():
    assert Controls(prompts=(("a", 0.0),)).weighted_prompts() == ()


def test_they_survive_json():
    controls = Controls(prompts=(("a", 1.0),), blend=0.5, chord=(0, 4), drums=False, seed=9)
    assert Controls.from_dict(json.loads(json.dumps(controls.to_dict()))) == controls


@pytest.mark.parametrize(
    ("values", "named"),
    [({"tempo": 90}, "tempo"), ({"bpm": 5}, "bpm"), ({"seed": -1}, "seed"), ({"prompts": 3}, "3")],
)
def test_a_bad_setting_is_named(values, named):
    with pytest.raises(InputError, match=named):
        Controls.from_dict(values, source="scene.toml")
