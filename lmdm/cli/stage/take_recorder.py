"""Records one take: what is heard, the live input beside it, and the log."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from audio_io.recorder import Recorder
from lmdm.cli.stage.mastering import mastering
from lmdm.live.mixdown import SAMPLE_RATE, Mixdown
from lmdm.live.take import AUDIO_NAME, INPUT_NAME, Applied, Held, TakeHeader, TakeLog

ROUNDING_SAMPLES = 8  # between a piece of live input and the one before
DELAY_SAMPLES = SAMPLE_RATE // 2  # a gain change acts on sound heard now, given out a while ago


class TakeRecorder:
    """Writes `take.wav`, `log.jsonl` and, where there is a live input, `input.wav` of one folder.

    The take begins with the first piece that is heard.

    Threads: the output thread calls `hear`, `hear_input` and `held`; `applied` and `remark` come
    from the supervisor's thread; the rest from any. The disk is left to the threads of recorder and
    log, so that none of these waits for it.
    """

    def __init__(
        self,
        folder: Path,
        header: TakeHeader,
        past: Iterable[str] = (),
        instant: Iterable[Applied] = (),
    ) -> None:
        """What happened in the session before: `past` as the log's lines, and the instant lane."""
        self.folder = folder
        self._log = TakeLog(folder, header, past)
        self._recorder = Recorder(folder / AUDIO_NAME, SAMPLE_RATE)
        self._lock = threading.Lock()
        self._mixdown: Mixdown | None = None
        self._gains = sorted(instant, key=lambda entry: entry.sample)
        self._waiting: deque[np.ndarray] = deque()
        self._waiting_samples = 0
        self._start: int | None = None
        self._position = self._written = 0  # positions up to which was heard, and written
        self._input: Recorder | None = None
        self._beside: deque[tuple[int, np.ndarray]] = deque()  # live input by position
        self._beside_end = 0
        self._last_gain = max((entry.sample for entry in self._gains), default=0)
        self._hold: Held | None = None
        self._ended = self._closed = False
        for entry in self._gains:
            self._log.write(entry)

    @property
    def error(self) -> str | None:
        """Why recording stopped, if it did."""
        refused = self._input.error if self._input is not None else None
        return self._recorder.error or refused or self._log.error

    def hear(self, pcm: np.ndarray, position: int) -> None:
        """A piece of the stream [n, 2] at its position; pieces follow one another."""
        with self._lock:
            if self._ended:
                return
            if self._start is None:
                self._start = self._position = self._written = position
                self._log.begin(position)
            if self._hold is not None and position >= self._hold.sample + self._hold.samples:
                self._log.write(self._hold)
                self._hold = None
            self._waiting.append(pcm)
            self._waiting_samples += len(pcm)
            self._position += len(pcm)
            while self._waiting_samples - len(self._waiting[0]) >= DELAY_SAMPLES:
                self._write(self._waiting.popleft())

    def hear_input(self, pcm: np.ndarray, behind: int) -> None:
        """Live input [n, 2] whose first sample is heard `behind` samples before the stream's next.

        Pieces follow one another, but for a few samples of rounding, unless one was left out.
        """
        with self._lock:
            if self._ended or self._start is None:
                return
            place, following = self._position - behind, self._beside_end
            if abs(place - following) <= ROUNDING_SAMPLES:
                place = following
            while self._beside and self._beside[-1][0] >= place:  # the stream stood still
                self._beside.pop()
            self._beside.append((place, pcm))
            self._beside_end = place + len(pcm)

    def _write(self, pcm: np.ndarray) -> None:
        self._waiting_samples -= len(pcm)
        live = self._live(len(pcm))
        self._written += len(pcm)
        self._recorder.process(self._mixed().process(pcm, live))

    def _live(self, count: int) -> np.ndarray | None:
        """The live input beside the next samples, which goes into its own file as well."""
        if self._input is None:
            if not self._beside:
                return None
            self._input = Recorder(self.folder / INPUT_NAME, SAMPLE_RATE)
            self._log.begin_input(self._written)
        live = np.zeros((count, 2), np.float32)
        while self._beside and self._beside[0][0] < self._written + count:
            place, pcm = self._beside.popleft()
            first = place - self._written
            low, high = max(0, first), min(count, first + len(pcm))
            if high > low:
                live[low:high] = pcm[low - first : high - first]
            if first + len(pcm) > count:
                self._beside.appendleft((self._written + count, pcm[count - first :]))
                break
        self._input.process(live)
        return live

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
        if self._input is not None:
            self._input.close()
        self._log.close(samples)
        return samples


def _is_instant(entry: Applied) -> bool:
    return entry.message.lane == "instant"
