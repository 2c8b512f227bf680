"""OSC: every message there and back, loose numbers, and packets that make no sense."""

from __future__ import annotations

import contextlib
import random
import socket
import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pythonosc.osc_bundle_builder import IMMEDIATELY, OscBundleBuilder
from pythonosc.osc_message_builder import OscMessageBuilder
from pythonosc.osc_packet import OscPacket

from audio_io.osc import OscServer
from audio_io.osc_messages import arguments_of, message_of, state_of
from lmdm.errors import InputError
from lmdm.live.messages import (
    Latency,
    Memorization,
    Message,
    Mute,
    NoteOn,
    Quantised,
    SetChord,
    SetDrums,
    SetGuidance,
    SetKey,
    SetPad,
    SetPrompts,
    SetSteps,
    Snapshot,
    StartRecording,
)


@pytest.mark.parametrize(
    "message",
    [
        SetGuidance(2.5), NoteOn(60, 100), Mute(True), SetDrums(None), SetChord((0, 4, 7)),
        SetPrompts((("felt piano", 0.7), ("choir", 0.3))), SetKey((0, "minor")), StartRecording(),
        SetPad((0.25, 0.5)), SetPad(None), Quantised("bar", SetGuidance(3.0)), SetSteps(4),
    ],
)  # fmt: skip
def test_messages_come_back(message: Message) -> None:
    address, arguments = arguments_of(message)
    assert message_of(address, arguments) == message


@pytest.mark.parametrize(
    ("address", "arguments", "message"),
    [
        ("/lmdm/note_on", [60.0, 100.0], NoteOn(60, 100)),
        ("/lmdm/note_on", [60], NoteOn(60)),
        ("/lmdm/mute", [1], Mute(True)),
        ("/lmdm/mute", [0.0], Mute(False)),
        ("/lmdm/set_drums", ["None"], SetDrums(None)),
        ("/lmdm/set_drums", [None], SetDrums(None)),
        ("/lmdm/set_guidance", [3], SetGuidance(3.0)),
        (
            "/lmdm/set_prompts",
            ["piano", 0.7, "choir", 1],
            SetPrompts((("piano", 0.7), ("choir", 1))),
        ),
        ("/lmdm/set_prompts", ["piano", 1.0], SetPrompts((("piano", 1.0),))),
        ("/lmdm/set_prompts", [], SetPrompts(())),
        ("/lmdm/set_pad", [0.5, 0.25], SetPad((0.5, 0.25))),
        ("/lmdm/set_chord", [0, 4, 7], SetChord((0, 4, 7))),
        ("/lmdm/set_chord", [0.0, 4.0, 7.0], SetChord((0, 4, 7))),
        ("/lmdm/set_chord", [2], SetChord((2,))),
        ("/lmdm/set_key", [2, "major"], SetKey((2, "major"))),
    ],
)
def test_loose_programs_are_understood(address: str, arguments: list, message: Message) -> None:
    assert message_of(address, arguments) == message


@pytest.mark.parametrize(
    ("address", "arguments", "said"),
    [
        ("/lmdm/warp", [], "no control at"),
        ("/other/mute", [1], "no control at"),
        ("/lmdm/mute", [], "lacks the field 'on'"),
        ("/lmdm/mute", [5], "true or false"),
        ("/lmdm/note_on", [60, 100, 3], "takes 2 arguments"),
        ("/lmdm/note_on", [200], "outside 0 to 127"),
        ("/lmdm/note_on", ["c4"], "whole number"),
        ("/lmdm/set_guidance", [float("nan")], "outside"),
        ("/lmdm/set_prompts", ["a"] * 300, "more than 200"),
        ("/lmdm/set_prompts", ["piano", "loud"], "set_prompts"),
    ],
)
def test_what_does_not_fit_is_told(address: str, arguments: list, said: str) -> None:
    with pytest.raises(InputError, match=said) as told:
        message_of(address, arguments)
    assert "\n" not in str(told.value)


@given(
    st.text(max_size=20),
    st.lists(st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=9),
                       st.binary(max_size=9)), max_size=8),
)  # fmt: skip
def test_any_arguments_are_a_message_or_one_sentence(kind: str, arguments: list) -> None:
    for address in (f"/lmdm/{kind}", "/lmdm/set_prompts", "/lmdm/note_on", "/lmdm/set_key"):
        with contextlib.suppress(InputError):
            message_of(address, arguments)


def test_the_state_has_an_address_for_everything() -> None:
    state = state_of(Snapshot(latency={"block": Latency(1.0, 2.0, 3)}, chord=(0, 4)))
    assert state["/lmdm/state/latency/block/p95"] == [2.0]
    assert state["/lmdm/state/chord"] == [0, 4]
    assert state["/lmdm/state/blend"] == ["none"]
    assert state["/lmdm/state/status"] == ["loading"]
    near = Snapshot(memorization=Memorization("near", "close to a piece at 0:31", 1.2, 0.98))
    assert state_of(near)["/lmdm/state/memorization/state"] == ["near"]
    assert state_of(near)["/lmdm/state/memorization/similarity"] == [0.98]


class Stage:
    def __init__(self) -> None:
        self.sent: list[Message] = []
        self.said: list[str] = []
        self.snapshot = Snapshot(status="playing")
        self.server = OscServer(self.take, lambda: self.snapshot, 0, say=self.said.append)
        self.client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.client.bind(("127.0.0.1", 0))
        self.client.settimeout(5.0)

    def take(self, message: Message) -> None:
        if message == Mute(False):
            raise InputError("it cannot be")
        self.sent.append(message)

    def post(self, data: bytes) -> None:
        self.client.sendto(data, ("127.0.0.1", self.server.port))

    def call(self, address: str, *arguments: object) -> None:
        self.post(_built(address, *arguments).dgram)

    def hear(self, address: str) -> list:
        """Arguments of the next message at an address."""
        while True:
            for each in OscPacket(self.client.recv(65535)).messages:
                if each.message.address == address:
                    return list(each.message.params)


def _built(address: str, *arguments: object):
    builder = OscMessageBuilder(address)
    for argument in arguments:
        builder.add_arg(argument)
    return builder.build()


@pytest.fixture
def stage():
    stage = Stage()
    yield stage
    stage.server.close()
    stage.client.close()


def wait(true) -> None:
    end = time.monotonic() + 10.0
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.005)


def test_controls_arrive_also_in_bundles(stage: Stage) -> None:
    assert stage.server.host == "127.0.0.1"
    stage.call("/lmdm/set_guidance", 2.5)
    bundle = OscBundleBuilder(IMMEDIATELY)
    bundle.add_content(_built("/lmdm/note_on", 60, 90))
    bundle.add_content(_built("/lmdm/mute", True))
    stage.post(bundle.build().dgram)
    wait(lambda: len(stage.sent) == 3)
    assert stage.sent == [SetGuidance(2.5), NoteOn(60, 90), Mute(True)]


def test_a_bundle_is_done_but_for_what_makes_no_sense(stage: Stage) -> None:
    bundle = OscBundleBuilder(IMMEDIATELY)
    bundle.add_content(_built("/lmdm/set_guidance", "loud"))
    bundle.add_content(_built("/lmdm/mute", True))
    stage.post(bundle.build().dgram)
    wait(lambda: stage.sent == [Mute(True)])


def test_of_a_flood_the_newest_values_arrive_and_every_note(stage: Stage) -> None:
    for number in range(3000):
        stage.call("/lmdm/set_guidance", number / 1024)
        if number % 300 == 0:
            stage.call("/lmdm/note_on", 60, 1 + number // 300)
        if number % 50 == 0:
            time.sleep(0.02)  # a socket does not hold them all
    wait(lambda: SetGuidance(2999 / 1024) in stage.sent)
    assert [each for each in stage.sent if isinstance(each, NoteOn)] == [
        NoteOn(60, 1 + number) for number in range(10)
    ]
    values = [each.scale for each in stage.sent if isinstance(each, SetGuidance)]
    assert values == sorted(values)
    assert len(values) < 1500


def test_the_state_is_told_to_whom_asks_and_then_what_changes(stage: Stage) -> None:
    stage.call("/lmdm/subscribe", stage.client.getsockname()[1])
    assert stage.hear("/lmdm/state/bpm") == [120.0]
    stage.snapshot = replace(stage.snapshot, bpm=97.0, prompts=(("piano", 0.5),), seed=2**40)
    assert stage.hear("/lmdm/state/bpm") == [97.0]
    assert stage.hear("/lmdm/state/prompts") == ["piano", 0.5]
    assert stage.hear("/lmdm/state/seed") == [2**40]
    stage.call("/lmdm/refresh")
    assert stage.hear("/lmdm/state/status") == ["playing"]
    assert "state to 127.0.0.1" in stage.server.text
    stage.call("/lmdm/unsubscribe", stage.client.getsockname()[1])
    wait(lambda: "state to" not in stage.server.text)


def test_control_messages_are_told_at_their_own_addresses(stage: Stage) -> None:
    stage.server.mirror(SetGuidance(9.0))  # nobody wants to know
    stage.call("/lmdm/subscribe", stage.client.getsockname()[1])
    assert stage.hear("/lmdm/state/status") == ["playing"]
    stage.server.mirror(SetGuidance(2.5))
    assert stage.hear("/lmdm/set_guidance") == [2.5]
    stage.server.mirror(SetDrums(None))
    assert stage.hear("/lmdm/set_drums") == ["none"]


def test_problems_are_one_line_and_told_to_the_program(stage: Stage) -> None:
    stage.call("/lmdm/subscribe", stage.client.getsockname()[1])
    stage.call("/lmdm/set_guidance", 99.0)
    assert "outside" in stage.hear("/lmdm/problem")[0]
    stage.call("/lmdm/mute", False)
    assert stage.hear("/lmdm/problem") == ["it cannot be"]
    stage.call("/lmdm/mute", False)
    stage.call("/lmdm/set_guidance", 2.0)
    wait(lambda: stage.sent)
    assert stage.said == [stage.said[0], "it cannot be"]


def test_garbage_harms_nothing(stage: Stage) -> None:
    draw = random.Random(0)
    whole = _built("/lmdm/note_on", 60, 90).dgram
    for size in (0, 1, 3, 4, 20, 500):
        stage.post(draw.randbytes(size))
        stage.post(b"#bundle\x00" + draw.randbytes(size))
        stage.post(b"/lmdm/note_on\x00\x00\x00,iiiiiiiiii\x00" + draw.randbytes(size))
        stage.post(whole[: size % len(whole)])
    stage.post(b"/lmdm/note_on\x00\x00\x00,[[[[\x00\x00\x00")
    stage.call("/lmdm/subscribe", "here")
    stage.call("/lmdm/note_on", 61)
    wait(lambda: NoteOn(61) in stage.sent)
    assert all("\n" not in line and len(line) <= 300 for line in stage.said)
    assert stage.said


def test_a_port_that_is_taken_is_told(stage: Stage) -> None:
    with pytest.raises(InputError, match=f"OSC cannot listen at 127.0.0.1:{stage.server.port}"):
        OscServer(print, Snapshot, stage.server.port)
    with pytest.raises(InputError, match="no machine"):
        stage.server.reply_to("no.such.machine.invalid", 9000)
    with pytest.raises(InputError, match="no UDP port"):
        stage.server.reply_to("127.0.0.1", 0)
