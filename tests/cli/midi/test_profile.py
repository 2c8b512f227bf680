"""Profiles of MIDI devices: what is written comes back, what is wrong is told and harms nothing."""

from __future__ import annotations

import contextlib
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio_io.controllers import KINDS, Source
from lmdm.cli.midi.profile import (
    Profile,
    ProfileStore,
    profile_from,
    read_profile,
    to_toml,
    write_profile,
)
from lmdm.errors import InputError
from lmdm.live.messages import CHANNEL_ROLES, ENCODINGS, TAKEOVERS, SetMapping
from lmdm.live.targets import CHOICES, RANGES, SWITCHES

share = st.floats(0.0, 1.0)
sources = st.sampled_from(sorted(KINDS)).flatmap(
    lambda kind: st.builds(
        Source,
        st.just(kind),
        st.one_of(st.none(), st.integers(0, 15)),
        st.integers(0, KINDS[kind] - 1),
    )
)
mappings = st.builds(
    SetMapping,
    sources.map(str),
    st.sampled_from([*RANGES, *SWITCHES, *CHOICES, "recall_scene:a: \"b\"", "set_prompts:3"]),
    share, share, st.sampled_from(TAKEOVERS), st.sampled_from(ENCODINGS),
)  # fmt: skip
profiles = st.builds(
    Profile,
    st.text(max_size=30).filter(lambda text: "\x00" not in text),
    st.lists(mappings, max_size=6).map(tuple),
    st.lists(st.sampled_from(CHANNEL_ROLES), min_size=16, max_size=16).map(tuple),
    st.booleans(),
)


@given(profiles)
def test_what_is_written_comes_back(profile: Profile) -> None:
    assert profile_from(tomllib.loads(to_toml(profile)), "file") == profile


@given(st.text(max_size=200))
def test_any_text_is_a_profile_or_one_sentence(text: str) -> None:
    with contextlib.suppress(InputError, tomllib.TOMLDecodeError):
        profile_from(tomllib.loads(text), "file")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("devise = 1", "'devise'"),
        ("device = 1", "device must be text"),
        ("[roles]\n17 = 'melody'", "channel"),
        ("[roles]\n1 = 'bass'", "bass"),
        ("[[mapping]]\nsource = 'cc:1:1'", "'target' is missing"),
        ("[[mapping]]\nsource = 'cc:1:1'\ntarget = 'nothing'", "nothing"),
        ("[[mapping]]\nsource = 'cc:0:1'\ntarget = 'mute'", "cc:0:1"),
        ("[[mapping]]\nsource = 'cc:1:1'\ntarget = 'mute'\nspeed = 1", "'speed'"),
        ("[[mapping]]\nsource = 'cc:1:1'\ntarget = 'mute'\nlow = 2.0", "2.0"),
        ("mapping = [1]", "a mapping is a table"),
        ("mapping = 1", "a list of tables"),
        ("a = ", "not TOML"),
    ],
)
def test_what_is_wrong_is_told_by_name(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "knobs.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=said) as told:
        read_profile(path)
    assert "knobs.toml" in str(told.value)
    assert "\n" not in str(told.value)


def test_a_store_keeps_one_file_a_device(tmp_path: Path) -> None:
    store = ProfileStore(tmp_path / "midi")
    assert store.load("Launch/Control: XL") == (Profile("Launch/Control: XL"), "")
    profile = Profile("Launch/Control: XL", feedback=True).with_mapping(
        SetMapping("cc:1:1", "set_density")
    )
    store.save(profile)
    assert store.load("Launch/Control: XL") == (profile, "")
    assert store.load("another")[0] == Profile("another")
    assert [path.name for path in store.folder.iterdir()] == ["launch-control-xl.toml"]


def test_a_broken_file_is_told_and_left_alone(tmp_path: Path) -> None:
    store = ProfileStore(tmp_path)
    store.path("keys").write_text("[[")
    profile, said = store.load("keys")
    assert profile == Profile("keys")
    assert "keys.toml" in said
    assert store.path("keys").read_text() == "[["


def test_what_cannot_be_written_leaves_the_old(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        write_profile(blocked / "knobs.toml", Profile("keys"))


def test_a_knob_may_move_two_controls_but_is_learnt_for_one() -> None:
    profile = Profile("keys", (SetMapping("cc:*:1", "set_blend"),))
    profile = profile.with_mapping(SetMapping("cc:1:1", "set_density"))
    profile = profile.with_mapping(SetMapping("cc:1:1", "set_density", low=0.5))
    assert [(each.target, each.low) for each in profile.mappings] == [
        ("set_blend", 0.0), ("set_density", 0.5),
    ]  # fmt: skip
    profile = profile.with_learnt(SetMapping("cc:1:1", "set_brightness"))
    assert [each.target for each in profile.mappings] == ["set_brightness"]
    profile = profile.with_learnt(SetMapping("cc:1:2", "set_brightness"))
    assert [each.source for each in profile.mappings] == ["cc:1:2"]
    assert profile.without("set_brightness").mappings == ()
    assert replace(profile, device="x").without("").mappings == ()
