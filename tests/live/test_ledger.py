"""No control is lost from a take's log, and none told twice, whatever becomes of the engine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from lmdm.live import wire
from lmdm.live.ledger import Ledger
from lmdm.live.messages import NoteOn, to_dict
from lmdm.live.ring import AudioRing

BLOCK, DELAY, FRAMES = 8192, 760, 4


class Told(Ledger):
    """A ledger that keeps what it tells, on a ring of its own."""

    def __init__(self, ring: AudioRing) -> None:
        self.pitches: list[int] = []
        super().__init__(ring, lambda each, _report, _waited: self._hear(each), lambda *_: None)
        self.ring, self.delay_samples, self.context_frames = ring, DELAY, 2 * FRAMES

    def _hear(self, each: Any) -> None:
        self.pitches.append(each.message.pitch)

    def reported(self, block: int, *notes: tuple[int, int], sound: int = BLOCK) -> None:
        """Block number `block` (from 1), in which notes (pitch, sample) act, and so much sound."""
        self.add(
            {
                "applied": [[sample, to_dict(NoteOn(pitch)), False] for pitch, sample in notes],
                "state": {"blocks": block, "emitted": block * BLOCK - DELAY},
                "latents": wire.pack(np.zeros((3, FRAMES), np.float32)),
                "remarks": [],
                "start": max(0, (block - 1) * BLOCK - DELAY),
            }
        )
        if sound:
            self.ring.write(np.zeros((block * BLOCK - DELAY - self.ring.written_total, 2), "f4"))


@pytest.fixture
def ledger() -> Iterator[Told]:
    with AudioRing.create(20 * BLOCK) as ring:
        yield Told(ring)


def test_what_is_heard_and_safe_is_told_once(ledger: Told) -> None:
    ledger.reported(1)
    ledger.reported(2, (60, BLOCK), (61, BLOCK + 4096))
    ledger.ring.read(2 * BLOCK - DELAY)
    ledger.safe = BLOCK
    ledger.settle()
    ledger.settle()
    assert ledger.pitches == [60]
    ledger.safe = 2 * BLOCK
    ledger.settle()
    assert ledger.pitches == [60, 61]


def test_a_new_engine_that_knows_nothing_of_what_is_safe_has_nothing_told_twice(
    ledger: Told,
) -> None:
    ledger.reported(1)
    ledger.reported(2, (60, BLOCK))
    ledger.safe = 1000
    ledger.ring.read(BLOCK + 2000)
    assert ledger.place() is not None  # the engine died; all that was heard is told
    assert ledger.pitches == [60]
    ledger.settle()  # the next one has not said what is safe
    ledger.safe = 2 * BLOCK
    ledger.settle()
    assert ledger.pitches == [60]


def test_a_control_that_a_new_engine_gets_where_the_old_sound_was_heard_is_told(
    ledger: Told,
) -> None:
    """Block 2 was being made anew from its middle when the engine died: the old half was heard."""
    ledger.reported(1)
    ledger.reported(2)
    heard = BLOCK - DELAY + 5000
    ledger.ring.read(heard)
    ledger.ring.rewind_writer(heard + 200)
    ledger.reported(2, (60, BLOCK + 6144), sound=0)  # ... and was killed
    place = ledger.place()
    assert place is not None
    assert place.skip == 5000  # the new engine begins block 2 again, behind what was heard
    ledger.reported(2, (60, BLOCK))  # note 60, sent again, is placed at its beginning
    ledger.ring.read(2000)
    ledger.safe = ledger.ring.read_total
    ledger.settle()
    assert ledger.pitches == [60]
