"""Records a take to a WAV file that survives a crash with at most a second lost."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audio_io.wav import HEADER_BYTES, SampleFormat, WavFormat, finish, header
from lmdm.errors import InputError

Audio = NDArray[np.float32]

_PATCH_SECONDS = 0.5  # between two updates of the header on disk
_QUEUE_SECONDS = 20.0  # of sound kept while the disk does not answer


class Recorder:
    """Writes PCM to a WAV file of any length (RF64 beyond 4 GiB).

    The header on disk is brought up to date twice a second, so a file that was never closed can be
    opened as it is; `audio_io.wav.repair`, at the program's next start, also gets back the rest.

    Threads: one thread calls `process`, which only queues; the recorder's own thread touches the
    disk. If the disk stalls for longer than the queue holds, frames become silence, so that
    the timeline stays true, and counted in `dropped_frames`. If writing fails, `error` says why,
    the file is closed at its last whole frame, and `process` goes on as a no-op: recording may
    fail, the music may not.
    """

    def __init__(
        self,
        path: Path | str,
        rate: int,
        channels: int = 2,
        sample_format: SampleFormat = "float32",
    ) -> None:
        """Creates the file (InputError if it exists or cannot be made) and starts its thread."""
        self.path = Path(path)
        self.form = WavFormat(rate, channels, sample_format)
        self.frames = 0  # on disk
        self.dropped_frames = 0
        self.error: str | None = None
        try:
            self._file = self.path.open("xb", buffering=0)
            self._file.write(header(self.form, 0))
        except FileExistsError:
            raise InputError(f"cannot record to {self.path}: the file is there already") from None
        except OSError as problem:
            raise InputError(f"cannot record to {self.path}: {problem.strerror}") from None
        self._queue: deque[Audio | int] = deque()  # sound, or a number of silent frames
        self._queued_frames = 0
        self._limit = round(rate * _QUEUE_SECONDS)
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    def process(self, pcm: Audio) -> None:
        """Queues frames [n, channels]; never blocks on the disk."""
        if self.error is not None or self._closing:
            return
        with self._lock:
            if self._queued_frames + len(pcm) > self._limit:
                self.dropped_frames += len(pcm)
                if self._queue and isinstance(self._queue[-1], int):
                    self._queue[-1] += len(pcm)
                else:
                    self._queue.append(len(pcm))
                return
            self._queue.append(np.array(pcm, dtype=np.float32))
            self._queued_frames += len(pcm)

    def close(self) -> None:
        """Writes what is queued, finishes the header and closes the file."""
        self._closing = True
        self._wake.set()
        self._thread.join()

    def _run(self) -> None:
        patched = time.monotonic()
        try:
            while not self._closing:
                self._wake.wait(0.1)
                self._write_queued()
                if time.monotonic() - patched >= _PATCH_SECONDS:
                    self._file.seek(0)
                    self._file.write(header(self.form, self.frames))
                    self._file.seek(0, os.SEEK_END)
                    patched = time.monotonic()
            self._write_queued()
        except OSError as problem:
            self.error = f"recording to {self.path} stopped: {problem.strerror}"
        try:
            self._file.truncate(HEADER_BYTES + self.frames * self.form.frame_bytes)
            finish(self._file, self.form, self.frames)
            os.fsync(self._file.fileno())
        except OSError as problem:
            self.error = self.error or f"recording to {self.path} stopped: {problem.strerror}"
        finally:
            self._file.close()

    def _write_queued(self) -> None:
        while self._queue:
            with self._lock:
                entry = self._queue.popleft()
                if not isinstance(entry, int):
                    self._queued_frames -= len(entry)
            if isinstance(entry, int):
                self._write(np.zeros((entry, self.form.channels), np.float32))
            else:
                self._write(entry)

    def _write(self, pcm: Audio) -> None:
        data = memoryview(encode(pcm, self.form.sample_format))
        while data:
            data = data[self._file.write(data) :]  # an unbuffered write may take a part
        self.frames += len(pcm)


def encode(pcm: Audio, sample_format: SampleFormat) -> bytes:
    """Little-endian sample bytes of frames [n, channels]; 24 bit is rounded and clipped."""
    if sample_format == "float32":
        return np.ascontiguousarray(pcm, dtype="<f4").tobytes()
    scaled = np.nan_to_num(pcm.astype(np.float64)) * 2.0**23
    whole = np.clip(np.rint(scaled), -(2**23), 2**23 - 1).astype("<i4")
    return np.ascontiguousarray(whole).view(np.uint8).reshape(-1, 4)[:, :3].tobytes()
