"""What is loaded costs no collection of cycles; what goes later is still collected."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from lmdm.live import heap


@pytest.fixture
def settled() -> Iterator[None]:
    heap.settle()
    yield
    heap.end()


class Ring:
    """Points to itself, so that counting references never frees it."""

    def __init__(self) -> None:
        self.next = self


@pytest.mark.usefixtures("settled")
def test_nothing_of_what_was_loaded_is_looked_through_again():
    looked_through = len(gc.get_objects())
    assert gc.get_freeze_count() > 100 * looked_through


@pytest.mark.usefixtures("settled")
def test_what_comes_and_goes_later_is_freed():
    gone = weakref.ref(Ring())
    gc.collect()
    assert gone() is None


def test_what_was_loaded_before_and_is_gone_is_freed_when_music_begins_anew():
    ring = Ring()
    gone = weakref.ref(ring)
    heap.settle()
    del ring
    gc.collect()
    assert gone() is not None
    heap.settle()
    assert gone() is None
    heap.end()
    assert gc.get_freeze_count() == 0
