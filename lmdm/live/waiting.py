"""Changes that wait for a beat, a bar or a phrase."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from lmdm.live import messages as m
from lmdm.live.clock import MusicalClock
from lmdm.live.messages import Message, from_dict, in_words, kind_of, to_dict
from lmdm.live.take import Applied


@dataclass(frozen=True)
class Waiting:
    """A change and the musical position, in beats, at which it is to act."""

    change: Message
    boundary: str
    beat: float

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {"change": to_dict(self.change), "boundary": self.boundary, "beat": self.beat}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Waiting:
        """Of a JSON form made by `to_dict`."""
        return cls(from_dict(values["change"]), str(values["boundary"]), float(values["beat"]))


def resolved(
    waiting: Iterable[Waiting], clock: MusicalClock, start: int, end: int, frame: int
) -> tuple[list[tuple[Waiting, Applied]], list[Waiting]]:
    """Those whose time comes from `start` up to `end`, placed; and those that wait on.

    A change is placed at the frame boundary nearest to its beat (frames are `frame` samples long),
    as the clock stands now: a change of tempo moves it.
    """
    ready: list[tuple[Waiting, Applied]] = []
    left: list[Waiting] = []
    for each in waiting:
        nearest = nearest_frame(clock.sample(each.beat, start), frame, start)
        if nearest < end:
            ready.append((each, Applied(nearest, each.change)))
        else:
            left.append(each)
    return ready, left


def nearest_frame(sample: int, frame: int, first: int) -> int:
    """The frame boundary nearest to a position (frames are `frame` samples), not before `first`."""
    return max(first, (sample + frame // 2) // frame * frame)


def shown(waiting: Iterable[Waiting], beat: float) -> tuple[m.Waiting, ...]:
    """As a snapshot tells of them, soonest first; `beat` is the musical position heard now."""
    told = [
        m.Waiting(kind_of(type(w.change)), in_words(w.change), w.boundary, w.beat - beat)
        for w in waiting
        if w.beat > beat
    ]
    return tuple(sorted(told, key=lambda each: each.beats))
