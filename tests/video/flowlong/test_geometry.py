"""Where windows lie, and which prompts they hear."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmdm.errors import InputError
from lmdm.video.flowlong.geometry import (
    WindowGeometry,
    latent_frames,
    pixel_frames,
    prompts_of_windows,
)


def test_wan_thirty_seconds():
    """Dossier §4: Wan, 81 frames and stride 40 pixels, 30 s at 16 a second."""
    geometry = WindowGeometry(latent_frames(81), 10, latent_frames(480))
    assert (geometry.window, geometry.overlap) == (21, 11)
    assert (geometry.windows, geometry.timeline) == (11, 121)
    assert pixel_frames(geometry.timeline) == 481


@given(st.integers(2, 40), st.data(), st.integers(1, 300))
def test_windows_cover_what_is_wanted_and_no_window_more(window, data, frames):
    stride = data.draw(st.integers(1, window // 2))
    geometry = WindowGeometry(window, stride, frames)
    assert geometry.overlap >= geometry.stride
    assert geometry.timeline >= frames
    assert geometry.timeline == geometry.starts[-1] + window
    if geometry.windows > 1:
        assert geometry.timeline - stride < frames
        assert 0 <= geometry.trimmed < stride


@pytest.mark.parametrize("sizes", [(13, 7, 60), (13, 13, 60), (13, 20, 60), (13, 0, 60)])
def test_small_overlaps_are_refused(sizes):
    with pytest.raises(InputError, match="stride"):
        WindowGeometry(*sizes)


def test_small_overlap_on_request_but_never_none():
    assert WindowGeometry(13, 9, 60, small_overlap=True).overlap == 4
    with pytest.raises(InputError, match="no overlap"):
        WindowGeometry(13, 13, 60, small_overlap=True)


def test_a_window_hears_the_prompt_at_its_middle():
    geometry = WindowGeometry(13, 6, 49)
    prompts = prompts_of_windows(geometry, [(0, "a"), (12, "b"), (30, "c")])
    assert geometry.starts == (0, 6, 12, 18, 24, 30, 36)
    assert prompts == ("a", "b", "b", "b", "c", "c", "c")


@pytest.mark.parametrize(
    "timeline",
    [
        [], [(3, "a")], [(0, "a"), (0, "b")], [(0, "a"), (9, "b"), (5, "c")],
        [(0, "a"), (49, "b")],
    ],
)  # fmt: skip
def test_bad_timelines_are_refused(timeline):
    with pytest.raises(InputError):
        prompts_of_windows(WindowGeometry(13, 6, 49), timeline)
