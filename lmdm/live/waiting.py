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
    """A change, and the boundary after stream position `since` (samples) at which it is to act.

    beat: where that boundary lies, unless the clock jumps back meanwhile.
    """

    change: Message
    boundary: str
    beat: float
    since: int

    @classmethod
    def of(cls, change: Message, boundary: str, clock: MusicalClock, since: int) -> Waiting:
        """One that waits for the next boundary as the clock stands."""
        return cls(change, boundary, clock.boundary(since, boundary), since)

    def due(self, clock: MusicalClock, position: int) -> float:
        """The beat at which it acts, as seen from a stream position.

        Where the clock has jumped back (the song was started again, a sequencer loops), that is
        the next boundary from there, not one that may never be reached.
        """
        return min(self.beat, clock.boundary(max(self.since, position), self.boundary))

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {**vars(self), "change": to_dict(self.change)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Waiting:
        """Of a JSON form made by `to_dict`."""
        return cls(**{**values, "change": from_dict(values["change"])})


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
        nearest = nearest_frame(clock.sample(each.due(clock, start), start), frame, start)
        if nearest < end:
            ready.append((each, Applied(nearest, each.change)))
        else:
            left.append(each)
    return ready, left


def nearest_frame(sample: int, frame: int, first: int) -> int:
    """The frame boundary nearest to a position (frames are `frame` samples), not before `first`."""
    return max(first, (sample + frame // 2) // frame * frame)


def shown(waiting: Iterable[Waiting], clock: MusicalClock, heard: int) -> tuple[m.Waiting, ...]:
    """As a snapshot tells of them, soonest first; `heard` is the stream position heard now."""
    told = []
    for each in waiting:
        left = each.due(clock, heard) - clock.beat(heard)
        if left > 0.0:
            words = in_words(each.change)
            told.append(m.Waiting(kind_of(type(each.change)), words, each.boundary, left))
    return tuple(sorted(told, key=lambda each: each.beats))
