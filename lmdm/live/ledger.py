"""What the engine said of its blocks, and what of it is final.

A block that is reported may be taken back until it has been heard. The ledger keeps the reports,
lets newer ones take the place of those they replace, and tells of controls once their first sample
has been read. From it a new engine learns where the ring ends.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lmdm.live import wire
from lmdm.live.messages import from_dict
from lmdm.live.ring import AudioRing
from lmdm.live.take import Applied


@dataclass
class Report:
    """One block as the engine reported it."""

    values: Mapping[str, Any]
    applied: tuple[Applied, ...]
    waited: frozenset[int]  # places in `applied` of changes that had waited for a boundary
    begins: int  # stream position before which its engine has made nothing that is heard
    landed: bool = False  # whether its sound is in the ring

    def touches(self, each: Applied, delay_samples: int) -> int:
        """First stream position that one of its controls changes."""
        return max(self.begins, each.sample - delay_samples)

    @property
    def blocks(self) -> int:
        """Blocks generated, this one included."""
        return int(self.values["state"]["blocks"])

    @property
    def end(self) -> int:
        """Stream position of the end of its sound."""
        return int(self.values["state"]["emitted"])


@dataclass(frozen=True)
class Place:
    """Where the ring ends, and what an engine needs to go on from there."""

    state: Mapping[str, Any]
    recent: np.ndarray  # newest latents [C, n]
    skip: int  # samples of the next block that were heard already


class Ledger:
    """Reports of one performance.

    Threads: the supervisor's thread adds; `settle` may be called from any. `on_final` gets every
    control in order of position, with its report and whether it had waited for a boundary;
    `on_remark` what was mended.
    """

    def __init__(
        self,
        ring: AudioRing,
        on_final: Callable[[Applied, Report, bool], None],
        on_remark: Callable[[int, str], None],
    ) -> None:
        self._ring = ring
        self._on_final = on_final
        self._on_remark = on_remark
        self._lock = threading.RLock()
        self._reports: deque[Report] = deque()
        self._told: int | None = None  # position up to which controls were told; never falls
        self._begins = 0  # where the sound of the present engine begins
        self._state: Mapping[str, Any] | None = None  # after the newest block that was read
        self._recent: deque[np.ndarray] = deque()
        self.safe = 0  # stream position before which the engine takes nothing back any more
        self.delay_samples = 0
        self.context_frames = 0

    def add(self, values: Mapping[str, Any]) -> None:
        """A block was made, or made anew; those after it are no more."""
        entries = values["applied"]
        applied = tuple(Applied(sample, from_dict(message)) for sample, message, _ in entries)
        waited = frozenset(index for index, entry in enumerate(entries) if entry[2])
        report = Report(values, applied, waited, self._begins)
        with self._lock:
            while self._reports and self._reports[-1].blocks >= report.blocks:
                self._reports.pop()
            self._reports.append(report)

    def landed(self) -> list[Report]:
        """Reports whose sound has come into the ring since the last call."""
        with self._lock:
            written = self._ring.written_total
            new = [each for each in self._reports if not each.landed and each.end <= written]
            for each in new:
                each.landed = True
            return new

    def settle(self, final: bool = False) -> bool:
        """Tells of what has been read and is safe; whether that is all that has been read.

        A report may come before it is known whether its sound was in time, so what was read is not
        final until the engine says so. `final`: there is no engine any more that could say so.
        """
        with self._lock:
            whole = self._ring.read_total
            read = max(whole if final else min(whole, self.safe), self._told or 0)
            if read == 0:  # controls of the first block may touch what the codec's delay leaves out
                return whole == 0
            for report in self._reports:
                for index, each in enumerate(report.applied):
                    touched = report.touches(each, self.delay_samples)
                    if touched < read and (self._told is None or touched >= self._told):
                        self._on_final(each, report, index in report.waited)
            self._told = read
            while self._reports and self._reports[0].end <= read:
                self._absorb(self._reports.popleft())
            return read == whole

    def _absorb(self, report: Report) -> None:
        self._state = report.values["state"]
        latents = wire.unpack(report.values["latents"])
        if latents.size:
            self._recent.append(latents)
        while sum(each.shape[1] for each in self._recent) - self._recent_oldest() >= max(
            1, self.context_frames
        ):
            self._recent.popleft()
        for text in report.values["remarks"]:
            self._on_remark(report.values["start"], text)

    def _recent_oldest(self) -> int:
        return self._recent[0].shape[1] if self._recent else 0

    def place(self) -> Place | None:
        """Where a new engine goes on, once the old one is gone; None if nothing was played.

        Reports of sound that never came into the ring are forgotten.
        """
        with self._lock:
            self.settle(final=True)
            while self._reports and self._reports[-1].end > self._ring.written_total:
                self._reports.pop()
            states = [each.values["state"] for each in self._reports]
            state = states[-1] if states else self._state
            if state is None:
                return None
            latents = [wire.unpack(each.values["latents"]) for each in self._reports]
            recent = [*self._recent, *(each for each in latents if each.size)]
            if not recent:
                return None
            whole = np.concatenate(recent, axis=1)
            self._begins = self._ring.rewind_writer(int(state["emitted"]))
            recent_frames = max(1, self.context_frames)
            skip = self._begins - int(state["emitted"])
            return Place(state, whole[:, -recent_frames:], skip)

    def state(self) -> Mapping[str, Any] | None:
        """The state after the newest block that was heard to its end."""
        with self._lock:
            return self._state

    def recent(self) -> np.ndarray | None:
        """The newest latents that were heard [C, n]; None if there are none."""
        with self._lock:
            return np.concatenate(list(self._recent), axis=1) if self._recent else None
