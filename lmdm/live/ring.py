"""PCM between two processes: a ring of float32 frames in shared memory.

One process writes, one reads, nobody waits. The engine (writer) fills it ahead of the sound card;
the audio process (reader) drains it. Totals count frames since creation and are never reset, so
`write_total - read_total` is the lead, and a total names one sample of the performance for ever.
The writer may take back what has not been read yet (`rewind_writer`), which is how a control
change reaches the ear without waiting for the lead to play out (DESIGN.md section 2).

    >>> ring = AudioRing.create(frames=1024, channels=2)
    >>> ring.write(np.ones((3, 2), dtype=np.float32))
    3
    >>> ring.read(2).shape, ring.readable
    ((2, 2), 1)
    >>> ring.close()
    >>> ring.unlink()
"""

from __future__ import annotations

import os
import re
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from lmdm.errors import InputError

Audio = NDArray[np.float32]

_MAGIC = 0x4C4D444D52494E47  # "LMDMRING"
# Header of 64-bit words. Each side's counters have a cache line (8 words) to themselves.
_FRAMES, _CHANNELS = 1, 2
_WRITTEN = 8
_READ, _CLAIMED = 16, 17
_HEADER_WORDS = 24

SHARED_MEMORY = Path("/dev/shm")  # where Linux lists it; no other system does
_NAME = re.compile(r"lmdm_([0-9]+)_[0-9a-f]+")

_attach_lock = threading.Lock()


class Fence:
    """A memory fence, which Python has not: what is before a call is visible before what follows.

    An uncontended lock's atomics are one: nothing moves down past the first release nor up past the
    second acquire (a full barrier on x86-64 and arm64).

    Threads: one side of a ring has one of its own.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def __call__(self) -> None:
        """The barrier."""
        with self._lock:
            pass
        with self._lock:
            pass


class AudioRing:
    """Single-producer, single-consumer ring of float32 PCM frames in shared memory.

    Threads: one thread of one process calls `write` and `rewind_writer`, one thread of one process
    calls `read` and `skip`; everybody may look at the totals. No
    call blocks, locks or waits for the other side. Each counter is an aligned 64-bit word with one
    writer. The reader announces what it is about to copy (`claimed`) and then looks at `written`
    again; the rewinding writer sets `written` back and then looks at `claimed`. Whichever comes
    second sees the other, so a frame that the reader copies is never overwritten meanwhile.
    """

    def __init__(self, memory: SharedMemory, owner: bool) -> None:
        """Maps existing memory; use `create` or `attach`."""
        self._memory = memory
        self._owner = owner
        self._fence = Fence()
        self._words = _header(memory)
        self.frames = self._words[_FRAMES]
        self.channels = self._words[_CHANNELS]
        self._pcm: Audio = np.ndarray(
            (self.frames, self.channels), np.float32, memory.buf, _HEADER_WORDS * 8
        )
        self._closed = False

    @classmethod
    def create(cls, frames: int, channels: int = 2, name: str | None = None) -> AudioRing:
        """A new ring that holds up to `frames` frames; `name` is chosen freely if None."""
        if frames < 1 or channels < 1:
            raise InputError(
                f"a ring needs at least 1 frame and 1 channel, not {frames}x{channels}"
            )
        size = _HEADER_WORDS * 8 + frames * channels * 4
        memory = SharedMemory(name=name or new_name(), create=True, size=size)
        with _header(memory) as words:
            words[_FRAMES], words[_CHANNELS], words[0] = frames, channels, _MAGIC
        return cls(memory, owner=True)

    @classmethod
    def attach(cls, name: str) -> AudioRing:
        """Maps the ring that another process (or this one) created under `name`."""
        try:
            with _untracked():
                memory = SharedMemory(name=name)
        except (FileNotFoundError, ValueError):
            raise InputError(f"there is no audio ring named {name!r}") from None
        with _header(memory) as words:
            frames, channels = words[_FRAMES], words[_CHANNELS]
            fits = _HEADER_WORDS * 8 + frames * channels * 4 <= memory.size
            valid = words[0] == _MAGIC and frames > 0 and channels > 0 and fits
        if not valid:
            memory.close()
            raise InputError(f"the shared memory {name!r} is not an audio ring")
        return cls(memory, owner=False)

    @property
    def name(self) -> str:
        """What the other process attaches by."""
        return self._memory.name

    @property
    def written_total(self) -> int:
        """Frames written since creation, less those taken back."""
        return self._words[_WRITTEN]

    @property
    def read_total(self) -> int:
        """Frames read since creation; never falls."""
        return self._words[_READ]

    @property
    def readable(self) -> int:
        """Frames that can be read now: the lead."""
        return max(0, self._words[_WRITTEN] - self._words[_READ])

    @property
    def writable(self) -> int:
        """Frames that can be written now."""
        return self.frames - (self._words[_WRITTEN] - self._words[_READ])

    def write(self, pcm: Audio) -> int:
        """Appends frames [n, channels]; returns how many fitted (the rest is the caller's)."""
        if pcm.ndim != 2 or pcm.shape[1] != self.channels:
            raise ValueError(f"pcm must have shape [n, {self.channels}], not {list(pcm.shape)}")
        total = self._words[_WRITTEN]
        count = min(len(pcm), self.writable)
        start = total % self.frames
        head = min(count, self.frames - start)
        self._pcm[start : start + head] = pcm[:head]
        self._pcm[: count - head] = pcm[head:count]
        self._fence()  # the frames must be visible before the total that announces them
        self._words[_WRITTEN] = total + count
        return count

    def rewind_writer(self, to_total: int, margin: int = 0) -> int:
        """Takes back unread frames from `to_total` on; the next `write` continues there.

        Nothing that the reader has claimed, nor the `margin` frames after that, is taken back.

        Args:
            to_total: wanted new `written_total`; one in the past is moved up to what is possible.
            margin: frames behind the reader that must stay, e.g. to have time to write.
        Returns: the new `written_total`, where the next `write` goes.
        """
        total = self._words[_WRITTEN]
        target = min(total, max(to_total, self._words[_CLAIMED] + margin))
        self._words[_WRITTEN] = target
        self._fence()
        # The reader may have claimed more between our look and our store: give that back. The
        # frames are still the old ones, because only the next write replaces them.
        target = max(target, min(total, self._words[_CLAIMED]))
        self._words[_WRITTEN] = target
        return target

    def read(self, count: int) -> Audio:
        """Takes up to `count` frames; returns a fresh array [m, channels], m <= count."""
        position, count = self._claim(count)
        start = position % self.frames
        head = min(count, self.frames - start)
        pcm = np.empty((count, self.channels), np.float32)
        pcm[:head] = self._pcm[start : start + head]
        pcm[head:] = self._pcm[: count - head]
        self._fence()  # the copy must be done before the writer may reuse the frames
        self._words[_READ] = position + count
        return pcm

    def skip(self, count: int) -> int:
        """Drops up to `count` frames unread (the reader's side); returns how many."""
        position, count = self._claim(count)
        self._words[_READ] = position + count
        return count

    def _claim(self, count: int) -> tuple[int, int]:
        position = self._words[_READ]
        count = max(0, min(count, self._words[_WRITTEN] - position))
        self._words[_CLAIMED] = position + count
        self._fence()
        allowed = self._words[_WRITTEN] - position  # smaller if the writer has just rewound
        if allowed < count:
            count = max(0, allowed)
            self._words[_CLAIMED] = position + count
        return position, count

    def close(self) -> None:
        """Unmaps the memory from this process; the ring lives on for others. Idempotent."""
        if self._closed:
            return
        self._closed = True
        self._words.release()
        del self._pcm
        unmap(self._memory)

    def unlink(self) -> None:
        """Frees the memory once every process has closed it; for the creator to call, once."""
        if self._owner:
            self._owner = False
            self._memory.unlink()

    def __enter__(self) -> AudioRing:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
        self.unlink()

    def __del__(self) -> None:
        if not getattr(self, "_closed", True):
            self.close()


def new_name() -> str:
    """A name for shared memory that tells whose it is (31 characters at most, for macOS)."""
    return f"lmdm_{os.getpid()}_{secrets.token_hex(4)}"


def sweep(folder: Path = SHARED_MEMORY) -> int:
    """Frees rings whose makers are dead, killed together with their resource trackers.

    Does nothing where the system does not list its shared memory. Returns how many were freed.
    """
    freed = 0
    for path in folder.glob("lmdm_*") if folder.is_dir() else ():
        named = _NAME.fullmatch(path.name)
        if named is not None and not _lives(int(named[1])):
            with suppress(OSError):  # another user's, or just swept by another program
                path.unlink()
                freed += 1
    return freed


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # another user's
        pass
    return True


def unmap(memory: SharedMemory) -> None:
    """Unmaps shared memory; where somebody still looks into it, that happens when he is done.

    `SharedMemory` would otherwise complain on the terminal when it is collected.
    """
    try:
        memory.close()
    except BufferError:
        memory._mmap = None  # type: ignore[attr-defined]  # lives as long as what looks into it


def _header(memory: SharedMemory) -> memoryview:
    assert memory.buf is not None  # None only after close
    return memory.buf[: _HEADER_WORDS * 8].cast("q")


@contextmanager
def _untracked() -> Iterator[None]:
    """Attaching must not register: Python < 3.13 would free the creator's memory at our exit."""
    with _attach_lock:
        register = resource_tracker.register
        resource_tracker.register = lambda *_: None
        try:
            yield
        finally:
            resource_tracker.register = register
