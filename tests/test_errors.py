"""A fault in one turn of a loop ends neither the loop nor anything else."""

from __future__ import annotations

import pytest

from lmdm.errors import GoingOn


def test_a_fault_is_told_once_and_the_loop_goes_on() -> None:
    said: list[str] = []
    going_on, turns = GoingOn("MIDI", said.append), 0
    for number in (0, 0, 4, 0):
        with going_on:
            turns += 1
            assert 8 // number == 2
    assert turns == 4
    assert len(said) == 1
    assert said[0].startswith("MIDI: a fault of the program, it goes on (ZeroDivisionError")
    assert "test_errors.py:16" in said[0]


def test_who_ends_the_program_ends_it() -> None:
    with pytest.raises(KeyboardInterrupt), GoingOn("MIDI", print):
        raise KeyboardInterrupt
