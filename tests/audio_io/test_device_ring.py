"""The shared device ring against PortAudio's own functions, and the death of the other process."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio_io.device_ring import DeviceRing, Word

rtmixer = pytest.importorskip("rtmixer", exc_type=(ImportError, OSError))


def ramp(start: int, count: int) -> np.ndarray:
    return np.repeat(np.arange(start, start + count, dtype=np.float32)[:, None], 2, axis=1)


@given(moves=st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=60))
def test_what_we_write_portaudio_reads(moves: list[tuple[int, int]]) -> None:
    ours = DeviceRing()
    theirs = DeviceRing(ours.name)
    try:
        for ring in (ours, theirs):
            ring.shape(32, 2)
        portaudio = theirs.as_portaudio(rtmixer.RingBuffer)
        written = read = 0
        for write, take in moves:
            fitted = ours.write(ramp(written, write))
            assert fitted == min(write, 32 - (written - read))
            written += fitted
            assert ours.queued == portaudio.read_available == written - read
            taken = np.zeros((min(take, written - read), 2), np.float32)
            if len(taken):
                portaudio.readinto(taken)
            assert (taken == ramp(read, len(taken))).all()
            read += len(taken)
    finally:
        del portaudio
        theirs.close()
        ours.close()


@given(moves=st.lists(st.integers(0, 32), max_size=40))
def test_what_portaudio_writes_we_read(moves: list[int]) -> None:
    ours = DeviceRing()
    theirs = DeviceRing(ours.name)
    try:
        for ring in (ours, theirs):
            ring.shape(32, 2)
        portaudio = theirs.as_portaudio(rtmixer.RingBuffer)
        written = 0
        for count in moves:
            if count:
                portaudio.write(ramp(written, count))
            assert (ours.read() == ramp(written, count)).all()
            written += count
    finally:
        del portaudio
        theirs.close()
        ours.close()


def test_words_are_shared_and_survive_the_end() -> None:
    ours = DeviceRing()
    theirs = DeviceRing(ours.name)
    theirs[Word.UNDERRUNS] = 3
    assert ours[Word.UNDERRUNS] == 3
    theirs.close()
    ours.close()
    ours.close()
    assert ours[Word.UNDERRUNS] == 3


def test_impossible_shapes_are_refused() -> None:
    ring = DeviceRing()
    for frames, channels in ((100, 2), (0, 2), (1 << 20, 2), (64, 0), (64, 8)):
        with pytest.raises(ValueError, match="cannot hold"):
            ring.shape(frames, channels)
    ring.close()
