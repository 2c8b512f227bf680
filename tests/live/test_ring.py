"""Laws of the shared-memory ring: a queue of frames, whatever the two sides do and when."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
from collections.abc import Callable
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmdm.errors import InputError
from lmdm.live.ring import Audio, AudioRing, sweep


def ramp(start: int, count: int, channels: int = 2) -> Audio:
    """Frames whose every sample is the frame's own total, exact in float32 below 2**24."""
    column = np.arange(start, start + count, dtype=np.float32)
    return np.repeat(column[:, None], channels, axis=1)


operations = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.integers(0, 40)),
        st.tuples(st.just("read"), st.integers(0, 40)),
        st.tuples(st.just("skip"), st.integers(0, 40)),
        st.tuples(st.just("rewind"), st.integers(0, 60)),
    ),
    max_size=60,
)


@settings(deadline=None, max_examples=150)
@given(frames=st.integers(1, 33), channels=st.integers(1, 3), script=operations)
def test_ring_is_a_bounded_queue(frames: int, channels: int, script: list[tuple[str, int]]) -> None:
    """Against a plain list: contents, totals and room agree after every operation."""
    queue: list[float] = []
    written = read = stamp = 0
    with AudioRing.create(frames, channels) as ring:
        for operation, count in script:
            if operation == "write":
                pcm = ramp(stamp, count, channels)
                fitted = ring.write(pcm)
                assert fitted == min(count, frames - len(queue))
                queue += pcm[:fitted, 0].tolist()
                written += fitted
                stamp += count
            elif operation == "rewind":
                target = ring.rewind_writer(written - count)
                assert target == max(read, written - count)
                del queue[target - read :]
                written = target
            else:
                expected, queue = queue[:count], queue[count:]
                if operation == "read":
                    pcm = ring.read(count)
                    assert pcm.shape == (len(expected), channels) and pcm.dtype == np.float32
                    assert (pcm == np.array(expected, np.float32).reshape(-1, 1)).all()
                else:
                    assert ring.skip(count) == len(expected)
                read += len(expected)
            assert (ring.written_total, ring.read_total) == (written, read)
            assert (ring.readable, ring.writable) == (len(queue), frames - len(queue))


@given(lead=st.integers(0, 100), margin=st.integers(0, 50), back=st.integers(0, 200))
@settings(deadline=None)
def test_rewind_keeps_margin(lead: int, margin: int, back: int) -> None:
    """The margin frames behind the reader stay, and nothing is ever invented."""
    with AudioRing.create(100) as ring:
        ring.write(ramp(0, 50))
        ring.read(50)
        ring.write(ramp(50, lead))
        target = ring.rewind_writer(50 + lead - back, margin=margin)
        assert target == min(50 + lead, max(50 + lead - back, 50 + margin))
        assert (ring.read(100) == ramp(50, target - 50)).all()


def test_totals_do_not_wrap() -> None:
    """Totals beyond 2**32 still name the right place in the ring."""
    with AudioRing.create(7) as ring:
        far = 7 * 2**40 + 3
        ring._words[8] = ring._words[16] = ring._words[17] = far
        assert ring.write(ramp(0, 9)) == 7
        assert (ring.read(9) == ramp(0, 7)).all()
        assert ring.read_total == far + 7


def test_attach_shares_and_refuses() -> None:
    with AudioRing.create(8, 1, name=None) as ring:
        other = AudioRing.attach(ring.name)
        assert (other.frames, other.channels) == (8, 1)
        ring.write(ramp(0, 5, 1))
        assert (other.read(5) == ramp(0, 5, 1)).all() and ring.readable == 0
        other.close()
        other.close()
        with pytest.raises(ValueError, match="shape"):
            ring.write(np.zeros((3, 2), np.float32))
        name = ring.name
    with pytest.raises(InputError, match="no audio ring"):
        AudioRing.attach(name)
    with pytest.raises(InputError, match="at least 1 frame"):
        AudioRing.create(0)


def test_attach_refuses_other_memory() -> None:
    memory = SharedMemory(create=True, size=4096)
    try:
        with pytest.raises(InputError, match="not an audio ring"):
            AudioRing.attach(memory.name)
    finally:
        memory.close()
        memory.unlink()


def test_a_sweep_frees_the_rings_of_the_dead_only(tmp_path: Path) -> None:
    """By the process id in the name; what is not a ring of ours is left alone."""
    dead = subprocess.Popen([sys.executable, "-c", "pass"])
    dead.wait()
    with AudioRing.create(8) as ring:
        kept = {ring.name, "lmdm_notes", "psm_12ab34cd", f"lmdm_{dead.pid}_12ab.txt"}
        for name in {*kept, f"lmdm_{dead.pid}_12ab34cd", f"lmdm_{10**30}_12ab34cd"}:
            (tmp_path / name).touch()
        assert sweep(tmp_path) == 2
        assert {each.name for each in tmp_path.iterdir()} == kept
        sweep()
        AudioRing.attach(ring.name).close()
    assert sweep(tmp_path / "not there") == 0


WRITER = """
import sys
import numpy as np
from lmdm.live.ring import AudioRing
ring = AudioRing.attach(sys.argv[1])
total, sent, draw = int(sys.argv[2]), 0, np.random.default_rng(1)
while sent < total:
    count = min(int(draw.integers(1, 700)), total - sent)
    column = np.arange(sent, sent + count, dtype=np.float32)
    sent += ring.write(np.repeat(column[:, None], 2, axis=1))
"""


def test_two_processes_lose_and_tear_nothing() -> None:
    """A foreign process writes a counted ramp; every frame arrives once, whole and in order.

    The attaching process exits before the reader is done: the memory must outlive it, and neither
    side's resource tracker may complain.
    """
    total = 400_000
    with AudioRing.create(1024) as ring:
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, ring.name, str(total)], stderr=subprocess.PIPE, text=True
        )
        received, draw = 0, np.random.default_rng(2)
        while received < total:
            pcm = ring.read(int(draw.integers(1, 700)))
            assert (pcm == ramp(received, len(pcm))).all()
            received += len(pcm)
            assert writer.poll() in (None, 0)
        assert writer.communicate(timeout=30)[1] == ""
        again = AudioRing.attach(ring.name)
        again.close()


class Interrupted:
    """Counter words that let the other side act right before the given access."""

    def __init__(self, words: memoryview, access: int, action: Callable[[], object]) -> None:
        self.words, self.access, self.action = words, access, action

    def _step(self) -> None:
        self.access -= 1
        if self.access == -1:
            self.action()

    def __getitem__(self, index: int) -> int:
        self._step()
        value: int = self.words[index]
        return value

    def __setitem__(self, index: int, value: int) -> None:
        self._step()
        self.words[index] = value


def take_back(ring: AudioRing, frames: int, new: int) -> None:
    """Replaces the last unread frames by `new` ones of take 1."""
    start = ring.rewind_writer(ring.written_total - frames)
    pcm = ramp(start, new)
    pcm[:, 1] = 1
    ring.write(pcm)


@settings(deadline=None, max_examples=400)
@given(
    access=st.integers(0, 8),
    reader_is_interrupted=st.booleans(),
    lead=st.integers(1, 20),
    count=st.integers(1, 20),
    back=st.integers(0, 20),
    new=st.integers(0, 20),
)
def test_rewind_and_read_interleave_at_any_point(
    access: int, reader_is_interrupted: bool, lead: int, count: int, back: int, new: int
) -> None:
    """One side's whole operation falls between any two counter accesses of the other's.

    Channel 0 holds each frame's total, channel 1 its take. Whoever comes first, the reader hears
    every total once and in order, and never the old take after the new one.
    """
    heard: list[Audio] = []
    with AudioRing.create(64) as writer:
        reader = AudioRing.attach(writer.name)
        old = ramp(0, lead)
        old[:, 1] = 0
        writer.write(old)

        def read() -> None:
            heard.append(reader.read(count))

        def rewind() -> None:
            take_back(writer, back, new)

        victim, own, other = (
            (reader, read, rewind) if reader_is_interrupted else (writer, rewind, read)
        )
        words = victim._words
        victim._words = cast(memoryview, Interrupted(words, access, other))
        own()
        victim._words = words
        assert reader.read_total <= writer.written_total
        take_back(writer, 0, 20)
        heard.append(reader.read(64))
        reader.close()
    totals, takes = np.concatenate(heard).T
    assert (totals == np.arange(len(totals))).all()
    assert (np.diff(takes) >= 0).all()
    assert len(totals) >= 20


def test_rewinding_writer_never_tears_a_read() -> None:
    """The writer keeps taking back and replacing the tail while another thread reads.

    Each take is written with its number in channel 1 and its frame's total in channel 0. A torn or
    stale read would break the totals' order, or a take's number would fall.
    """
    passes = 4000
    failure: list[str] = []
    with AudioRing.create(512) as ring:
        done = threading.Event()

        def read_all() -> None:
            expected, take = 0, 0.0
            draw = np.random.default_rng(3)
            while not (done.is_set() and ring.readable == 0) and not failure:
                pcm = ring.read(int(draw.integers(1, 300)))
                totals, takes = pcm[:, 0], pcm[:, 1]
                if (totals != np.arange(expected, expected + len(pcm))).any():
                    failure.append(f"totals broke at {expected}")
                if len(pcm) and (takes[0] < take or (np.diff(takes) < 0).any()):
                    failure.append(f"an old take came back at {expected}")
                expected += len(pcm)
                take = float(takes[-1]) if len(pcm) else take

        reader = threading.Thread(target=read_all)
        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)
        try:
            reader.start()
            draw = np.random.default_rng(4)
            for take in range(passes):
                start = ring.rewind_writer(ring.written_total - int(draw.integers(0, 400)))
                pcm = ramp(start, int(draw.integers(1, 400)))
                pcm[:, 1] = take
                ring.write(pcm)
            done.set()
            reader.join(timeout=30)
        finally:
            sys.setswitchinterval(interval)
    assert not reader.is_alive() and not failure, failure


def test_a_ring_that_somebody_still_looks_into_closes_without_a_word(monkeypatch) -> None:
    complaints: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", complaints.append)
    ring = AudioRing.create(64)
    ring.write(np.ones((4, 2), np.float32))
    view = np.frombuffer(ring._memory._mmap, np.uint8)  # as PortAudio, or a thread's last look
    ring.close()
    ring.unlink()
    del ring
    gc.collect()
    assert complaints == []
    assert view.any()  # the memory is there as long as somebody looks
