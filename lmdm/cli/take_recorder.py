"""Records one take: the stream's sound with gain and limiter, and its log."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from audio_io.recorder import Recorder
from lmdm.cli.mastering import mastering
from lmdm.live.mixdown import SAMPLE_RATE, Mixdown
from lmdm.live.take import AUDIO_NAME, Applied, Held, TakeHeader, TakeLog

DELAY_SAMPLES = SAMPLE_RATE // 2  # a gain change acts on sound heard now, given out a while ago


class TakeRecorder:
    """Writes `take.wav` and `log.jsonl` of one folder.

    The take begins with the first piece that is heard.

    Threads: the output thread calls `hear` and `held`; `applied` and `remark` come from the
    supervisor's thread; the rest from any. The disk is left to the recorder's and the log's own
    threads, so that none of these waits for it.
    """

    def __init__(self, folder: Path, header: TakeHeader, past: Iterable[Applied | Held]) -> None:
        """`past`: everything that happened in the session before."""
        entries = list(past)
        self.folder = folder
        self._log = TakeLog(folder, header)
        self._recorder = Recorder(folder / AUDIO_NAME, SAMPLE_RATE)
        self._lock = threading.Lock()
        self._mixdown: Mixdown | None = None
        self._gains = [e for e in entries if isinstance(e, Applied) and _is_instant(e)]
        self._waiting: deque[np.ndarray] = deque()
        self._waiting_samples = 0
        self._start: int | None = None
        self._position = 0
        self._last_gain = max((entry.sample for entry in self._gains), default=0)
        self._hold: Held | None = None
        self._ended = self._closed = False
        for entry in entries:
            self._log.write(entry)

    @property
    def error(self) -> str | None:
        """Why recording stopped, if it did."""
        return self._recorder.error or self._log.error

    def hear(self, pcm: np.ndarray, position: int) -> None:
        """A piece of the stream [n, 2] at its position; pieces follow one another."""
        with self._lock:
            if self._ended:
                return
            if self._start is None:
                self._start = self._position = position
                self._log.begin(position)
            if self._hold is not None and position >= self._hold.sample + self._hold.samples:
                self._log.write(self._hold)
                self._hold = None
            self._waiting.append(pcm)
            self._waiting_samples += len(pcm)
            self._position += len(pcm)
            while self._waiting_samples - len(self._waiting[0]) >= DELAY_SAMPLES:
                self._write(self._waiting.popleft())

    def _write(self, pcm: np.ndarray) -> None:
        self._waiting_samples -= len(pcm)
        self._recorder.process(self._mixed().process(pcm))

    def _mixed(self) -> Mixdown:
        """The mixdown, made when the first sound is written: what came before the start is past."""
        if self._mixdown is None:
            start = self._start or 0
            past = [each.message for each in self._gains if each.sample < start]
            self._mixdown = Mixdown(*mastering(), start, past)
            for each in self._gains:
                if each.sample >= start:
                    self._mixdown.change(each)
        return self._mixdown

    def held(self, position: int, samples: int) -> None:
        """The last bars loop from `position` on for `samples` (pieces follow one another)."""
        with self._lock:
            if self._closed:
                return
            if self._hold is not None:
                samples += self._hold.samples
                position = self._hold.sample
            self._hold = Held(position, samples)

    def applied(self, entry: Applied) -> None:
        """A control that took effect; one of the instant lane acts at once in the sound as well."""
        with self._lock:
            if self._closed:
                return
            if _is_instant(entry):
                written = self._position - self._waiting_samples
                self._last_gain = max(entry.sample, self._last_gain, written)
                entry = Applied(self._last_gain, entry.message)
                if self._mixdown is not None:
                    self._mixdown.change(entry)
                else:
                    self._gains.append(entry)
            self._log.write(entry)

    def remark(self, position: int, text: str) -> None:
        """Something worth telling in the log."""
        with self._lock:
            if not self._closed:
                self._log.note(position, text)

    def end(self) -> None:
        """Hears no more; controls that acted in what was heard may still be told."""
        with self._lock:
            self._ended = True

    def close(self) -> int:
        """Finishes both files; returns the take's length in samples."""
        with self._lock:
            self._ended = self._closed = True
        # from here on nobody else touches the rest, and the output thread does not wait for it
        while self._waiting:
            self._write(self._waiting.popleft())
        self._recorder.process(self._mixed().flush())
        if self._hold is not None:
            self._log.write(self._hold)
        samples = self._position - (self._start or 0)
        self._recorder.close()
        self._log.close(samples)
        return samples


def _is_instant(entry: Applied) -> bool:
    return entry.message.lane == "instant"
