"""What an engine does before anything is heard leaves no trace but that it is quick."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from pathlib import Path

import pytest

from lmdm.live import heap
from lmdm.live.controls import Controls
from lmdm.live.engine import Engine, EngineSettings
from lmdm.live.messages import SetPrompts
from lmdm.live.ring import AudioRing


@pytest.fixture
def engine(tiny_model: Path) -> Iterator[Engine]:
    ours, theirs = multiprocessing.Pipe()
    with AudioRing.create(44100) as ring:
        yield Engine(theirs, EngineSettings(str(tiny_model), ring.name, Controls().to_dict()))
    heap.end()
    ours.close()
    theirs.close()


def test_the_musicians_first_words_are_as_quick_as_any(engine: Engine) -> None:
    session, horizon = engine._session, engine._horizon
    assert (session.controls, session.blocks, session.emitted) == (Controls(), 0, 0)
    assert session.history.frames == 0
    assert list(horizon._seconds_of) == [SetPrompts]
    assert horizon.generation_with([(0, SetPrompts((("choir", 1.0),)))]) > 0.0
