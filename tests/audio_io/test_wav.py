"""Laws of the growing WAV header: other readers agree, before and after a crash and past 4 GiB."""

from __future__ import annotations

import os
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from audio_io.wav import HEADER_BYTES, SampleFormat, WavFormat, header, repair
from lmdm.errors import InputError

formats = st.builds(
    WavFormat,
    st.sampled_from([44100, 48000, 96000]),
    st.integers(1, 8),
    st.sampled_from(get_args(SampleFormat)),
)


@settings(deadline=None, max_examples=50)
@given(form=formats, frames=st.integers(0, 50), torn=st.integers(0, 7), stale=st.integers(0, 50))
def test_repair_finds_every_whole_frame(
    form: WavFormat, frames: int, torn: int, stale: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whatever the stale header says and wherever the last frame is torn."""
    path = tmp_path_factory.mktemp("wav") / "take.wav"
    torn = min(torn, form.frame_bytes - 1)
    data = bytes(range(256)) * 8
    data = data[: frames * form.frame_bytes + torn]
    path.write_bytes(header(form, stale) + data)
    assert repair(path) == frames
    info = soundfile.info(str(path))
    assert (info.frames, info.channels, info.samplerate) == (frames, form.channels, form.rate)
    whole = path.read_bytes()
    assert (
        whole[HEADER_BYTES : HEADER_BYTES + frames * form.frame_bytes] == data[: len(data) - torn]
    )
    assert len(whole) % 2 == 0
    again = path.read_bytes()
    if form.frame_bytes * frames % 2 == 0:  # the pad byte is not a frame
        assert repair(path) == frames and path.read_bytes() == again


def test_beyond_4_gib_it_is_rf64(tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    form = WavFormat(48000, 2, "float32")
    frames = 5 * 2**30 // 8 + 3
    path.write_bytes(header(form, 10))
    os.truncate(path, HEADER_BYTES + frames * 8)  # sparse: takes no room
    assert repair(path) == frames
    assert path.open("rb").read(4) == b"RF64"
    with soundfile.SoundFile(str(path)) as file:
        assert file.frames == frames
        file.seek(frames - 5)
        assert (file.read() == np.zeros((5, 2))).all()


@pytest.mark.parametrize(
    "content", [b"", b"RIFF", b"x" * 400, header(WavFormat(8, 1, "pcm24"), 0)[:60]]
)
def test_other_files_are_refused_and_left_alone(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "other.wav"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"cannot repair .*other\.wav"):
        repair(path)
    assert path.read_bytes() == content


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        repair(tmp_path / "nothing.wav")
