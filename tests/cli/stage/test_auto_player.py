"""The auto-player: notes on the beat of any tempo, ended whatever happens."""

from __future__ import annotations

import time
from multiprocessing import Pipe

from lmdm.cli.stage.auto_player import AutoPlayer, events_of
from lmdm.live.messages import Latency, Message, NoteOff, NoteOn, Snapshot

BPM = 400.0


class Clock:
    """A performance whose musical clock runs from now on, and which notes what it is sent."""

    def __init__(self) -> None:
        self.begin = time.monotonic()
        self.sent: list[tuple[float, Message]] = []

    @property
    def beat(self) -> float:
        return (time.monotonic() - self.begin) * BPM / 60.0

    def snapshot(self) -> Snapshot:
        return Snapshot(heard=1, heard_beat=self.beat, bpm=BPM, latency={"block": Latency()})

    def send(self, message: Message) -> None:
        self.sent.append((self.beat, message))


def test_events_are_in_order_and_a_repeated_pitch_ends_first() -> None:
    notes = [(0.0, 4.0, 60, 90), (4.0, 8.0, 60, 80), (2.0, 6.0, 64, 70), (3.0, 5.0, 64, 99)]
    assert events_of(notes) == [
        (0.0, NoteOn(60, 90)),
        (0.5, NoteOn(64, 99)),
        (1.0, NoteOff(60)),
        (1.0, NoteOn(60, 80)),
        (1.5, NoteOff(64)),
        (2.0, NoteOff(60)),
    ]


def test_bars_are_played_on_the_beat_one_after_another() -> None:
    ours, theirs = Pipe()
    clock = Clock()
    player = AutoPlayer(clock.send, clock.snapshot, bars=ours)
    player.start()
    for pitch in (60, 62):
        theirs.send([(0.0, 4.0, pitch, 90), (8.0, 12.0, pitch + 7, 90)])
        assert theirs.poll(5.0)
        assert theirs.recv() is None  # the next bar is asked for
    deadline = time.monotonic() + 10
    while len(clock.sent) < 8 and time.monotonic() < deadline:
        time.sleep(0.01)
    player.stop()
    assert [message.pitch for _, message in clock.sent] == [60, 60, 67, 67, 62, 62, 69, 69]
    first = clock.sent[0][0]
    downbeat = 4 * (first // 4)
    for (beat, _), wanted in zip(clock.sent, (0, 1, 2, 3, 4, 5, 6, 7), strict=True):
        assert beat >= downbeat + wanted  # never before its time; how late is the machine's affair


def test_stopping_ends_the_notes_that_sound() -> None:
    ours, theirs = Pipe()
    clock = Clock()
    player = AutoPlayer(clock.send, clock.snapshot, bars=ours)
    player.start()
    theirs.send([(0.0, 16.0, 60, 90)])
    deadline = time.monotonic() + 10
    while not clock.sent and time.monotonic() < deadline:
        time.sleep(0.01)
    player.stop()
    assert [message for _, message in clock.sent] == [NoteOn(60, 90), NoteOff(60)]


def test_a_generator_that_dies_leaves_silence() -> None:
    ours, theirs = Pipe()
    clock = Clock()
    player = AutoPlayer(clock.send, clock.snapshot, bars=ours)
    player.start()
    theirs.close()
    player.stop()
    assert clock.sent == []
