"""The frames that a device plays or records, in memory shared with the process that owns it.

PortAudio's own ring buffer structure lies in the shared memory, so its C callback in the other
process takes our frames (or gives us its own) directly, and nothing in between copies or waits.
Beside it stand a few words by which the two processes tell each other how they are.

    bytes 0-63    PaUtilRingBuffer (pa_ringbuffer.h): size, write index, read index, masks, ...
    bytes 64-191  words of 64 bits, see `Word`
    bytes 256-    frames of float32, a power of two of them

An index runs to twice the size before it wraps, which tells a full ring from an empty one.
"""

from __future__ import annotations

import enum
import sys
from multiprocessing.shared_memory import SharedMemory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmdm.live.ring import Fence, new_name, unmap

Audio = NDArray[np.float32]

_WORDS_AT, _PCM_AT = 64, 256
_LONG_INDEX = sys.platform.startswith("linux")  # `long`; 32 bits elsewhere (int32_t, Windows' long)
_WRITE, _READ = 1, 2  # places of the indices in the structure
MOST_FRAMES = 1 << 18  # 1.4 s at 192 kHz


class Word(enum.IntEnum):
    """Words that the processes share; each has one writer."""

    STATE = 0  # device: see `State`
    FILLED = 1  # ours: whether there is enough to play
    STOP = 2  # ours: close the device, please
    UNDERRUNS = 3  # device: times the ring was dry (or full, recording)
    XRUNS = 4  # device: times the system ran it late
    BLOCKS = 5  # device: callbacks
    PERIOD = 6  # device: frames of the largest callback
    HEARTBEAT = 7  # device: counts turns of its loop


class State(enum.IntEnum):
    """How the device is."""

    OPENING = 0
    OPEN = 1
    LOST = 2
    CLOSED = 3


class DeviceRing:
    """One side's view of the shared ring.

    Threads: one thread of one process writes frames, one of one process reads them; each word and
    each index has one writer. No call blocks or waits for the other side.
    """

    def __init__(self, name: str | None = None) -> None:
        """Makes the memory, or maps what another process made under `name`."""
        size = _PCM_AT + 4 * 2 * MOST_FRAMES
        self._memory = SharedMemory(name or new_name(), create=name is None, size=size)
        self._owner = name is None
        assert self._memory.buf is not None
        self._indices: Any = self._memory.buf[:_WORDS_AT].cast("q" if _LONG_INDEX else "i")
        self._words: Any = self._memory.buf[_WORDS_AT : _WORDS_AT + 8 * len(Word)].cast("q")
        self._fence = Fence()
        self.frames = self.channels = 0
        self.pcm: Audio = np.zeros((0, 0), np.float32)

    @property
    def name(self) -> str:
        """What the other process maps it by."""
        return self._memory.name

    def shape(self, frames: int, channels: int) -> None:
        """Says what a frame is; both sides do, with the same numbers, before any is written."""
        if not 0 < frames <= MOST_FRAMES or frames & (frames - 1) or not 0 < channels <= 2:
            raise ValueError(f"a device ring cannot hold {frames} frames of {channels} channels")
        self.frames, self.channels = frames, channels
        self.pcm = np.ndarray((frames, channels), np.float32, self._memory.buf, _PCM_AT)

    def as_portaudio(self, ring_buffer: Any) -> Any:
        """The ring as an `rtmixer.RingBuffer`; in the device's process, once it has a shape."""
        foreign = ring_buffer._ffi
        ring = ring_buffer(4 * self.channels, buffer=self.pcm)
        structure = foreign.from_buffer(self._memory.buf)
        pointer = foreign.cast("PaUtilRingBuffer*", structure)
        pointer[0] = ring._ptr[0]
        ring._ptr, ring._structure = pointer, structure
        return ring

    def __getitem__(self, word: Word) -> int:
        return int(self._words[word])

    def __setitem__(self, word: Word, value: int) -> None:
        self._words[word] = value

    @property
    def queued(self) -> int:
        """Frames written and not yet read."""
        return (self._indices[_WRITE] - self._indices[_READ]) & (2 * self.frames - 1)

    def write(self, pcm: Audio) -> int:
        """Appends frames [n, channels]; returns how many fitted."""
        count = min(len(pcm), self.frames - self.queued)
        index = self._indices[_WRITE]
        self.put(index, pcm[:count])
        self._fence()  # the frames must be visible before the index that announces them
        self._indices[_WRITE] = (index + count) & (2 * self.frames - 1)
        return count

    def put(self, position: int, pcm: Audio) -> None:
        """Stores frames at a position, modulo the size; no index moves."""
        start = position % self.frames
        head = min(len(pcm), self.frames - start)
        self.pcm[start : start + head] = pcm[:head]
        self.pcm[: len(pcm) - head] = pcm[head:]

    def read(self) -> Audio:
        """Takes all frames that wait [n, channels]."""
        count, index = self.queued, self._indices[_READ]
        start = index % self.frames
        head = min(count, self.frames - start)
        pcm = np.concatenate((self.pcm[start : start + head], self.pcm[: count - head]))
        self._fence()  # the copy must be done before the device may reuse the frames
        self._indices[_READ] = (index + count) & (2 * self.frames - 1)
        return pcm

    def close(self) -> None:
        """Unmaps the memory, whose maker frees it; words keep their last values. Idempotent."""
        if isinstance(self._words, list):
            return
        views = (self._words, self._indices)
        self._words, self._indices = list(self._words), list(self._indices)
        self.pcm = np.zeros((0, self.channels), np.float32)
        for view in views:
            view.release()
        unmap(self._memory)  # PortAudio's structure may still point into it
        if self._owner:
            self._memory.unlink()
