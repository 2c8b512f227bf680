"""A performance on real ports: JACK audio, MIDI cables, clocks, OSC, a server that dies."""

from __future__ import annotations

import socket
import subprocess
import time

import pytest
from pythonosc.osc_message_builder import OscMessageBuilder

from lmdm.cli.stage.performance import Performance, PerformanceSettings
from lmdm.live.controls import Controls
from lmdm.live.messages import (
    BeginLearn,
    NoteOn,
    Panic,
    Play,
    Quit,
    SelectInput,
    SelectOutput,
    SetBuffer,
    SetClockOut,
    SetClockSource,
    SetDry,
    SetLowPass,
    SetOsc,
)
from tests.audio_io.jack import Keys, running

pytestmark = pytest.mark.jack


@pytest.fixture(scope="module")
def jack():
    yield from running()


@pytest.fixture(scope="module")
def performance(jack, tiny_model, tmp_path_factory):
    prompts = (("felt piano", 1.0), ("church choir", 1.0))
    performance = Performance(
        PerformanceSettings(
            str(tiny_model),
            Controls(prompts=prompts),
            threads=1,
            home=tmp_path_factory.mktemp("home"),
        )
    )
    performance.open()
    performance.wait_playing()
    yield performance
    performance.send(Quit())
    performance.close()


@pytest.fixture
def keys(jack, performance):
    keys = Keys(jack)
    jack.connect("keys:out", jack.ports("LMDM Live:in")[0])
    time.sleep(0.2)
    yield keys
    keys.delete()


def until(true, seconds=15.0):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


def test_keys_knobs_a_flood_and_learning(performance, keys):
    look = performance.snapshot
    assert look().device == "system"
    assert look().midi == "LMDM Live:in"
    keys.send_message([0x90, 60, 100])
    until(lambda: look().held == (60,))
    keys.send_message([0xB0, 64, 127])
    keys.send_message([0x80, 60, 0])
    until(lambda: look().sustain)
    assert look().held == (60,)
    keys.send_message([0xB0, 64, 0])
    until(lambda: look().held == ())
    for number in range(2000):  # 1 kHz, in bursts
        keys.send_message([0xB0, 1, number % 128])
        time.sleep(0.01 * (number % 10 == 0))
    keys.send_message([0xB0, 1, 127])
    keys.send_message([0x90, 64, 100])
    until(lambda: look().held == (64,))
    until(lambda: look().blend == 1.0)
    performance.send(BeginLearn("set_density"))
    for value in (10, 40, 80):
        keys.send_message([0xB0, 20, value])
    until(lambda: look().learning == "")
    assert any(each.source == "cc:1:20" for each in look().mappings)
    assert list((performance.settings.home / "midi").iterdir())
    for garbage in ([0xF0, 1, 2, 3, 0xF7], [0xFF], [0xFE], [0xB0, 20, 127]):
        keys.send_message(garbage)
    until(lambda: look().last_controller == "cc:1:20 = 127")


def test_a_midi_clock_is_followed_and_ours_is_sent(performance, keys, jack):
    look = performance.snapshot
    performance.send(SetClockOut(True))
    dump = subprocess.Popen(["jack_midi_dump", "-a", "recorder"], stdout=subprocess.PIPE, text=True)
    jack.connect(jack.ports("LMDM Live out:out")[0], jack.ports("recorder:in")[0])
    performance.send(SetClockSource("midi"))
    until(lambda: "waiting" in look().clock_text)
    keys.send_message([0xFA])
    began, tick = time.perf_counter(), 0
    while tick < 24 * 8:
        time.sleep(max(0.0, began + tick * 60 / 132 / 24 - time.perf_counter()))
        keys.send_message([0xF8])
        tick += 1
    snapshot, beats = look(), (time.perf_counter() - began) * 132 / 60
    assert snapshot.bpm == pytest.approx(132.0, abs=2.0)
    apart = (snapshot.heard_beat - beats) * 60.0 / 132.0
    assert abs(apart) < 0.1, f"{1000 * apart:.0f} ms"
    assert "following" in snapshot.clock_text
    keys.send_message([0xFC])
    until(lambda: look().transport == "paused")
    dump.terminate()
    sent = dump.communicate(timeout=10)[0]
    assert sent.count("f8") > 24 * 4
    performance.send(SetClockSource("internal"))
    performance.send(SetClockOut(False))
    performance.send(Play())


def test_osc_drives_and_tells(performance):
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.bind(("127.0.0.1", 0))
    free = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
    free.close()
    performance.send(SetOsc(port, "127.0.0.1", client.getsockname()[1]))
    client.settimeout(10.0)
    assert b"/lmdm/state/" in client.recv(65535)
    builder = OscMessageBuilder("/lmdm/set_guidance")
    builder.add_arg(3.25)
    client.sendto(builder.build().dgram, ("127.0.0.1", port))
    client.sendto(b"\xff\x00garbage", ("127.0.0.1", port))
    until(lambda: performance.snapshot().guidance == 3.25)
    until(lambda: "makes no sense" in performance.snapshot().text)
    assert f"127.0.0.1:{port}" in performance.snapshot().osc
    client.close()


def test_a_server_that_dies_takes_nothing_along(performance, jack):
    look = performance.snapshot
    performance.send(SelectInput("system"))
    performance.send(SetDry(0.3))
    until(lambda: look().input_device == "system")
    heard = look().heard
    jack.kill()
    until(lambda: look().device_lost)
    until(lambda: look().midi == "")
    time.sleep(1.0)
    assert look().status == "playing"
    jack.start()
    until(lambda: not look().device_lost and look().device == "system")
    until(lambda: look().midi == "LMDM Live:in")
    until(lambda: look().input_device == "system")
    until(lambda: look().heard > heard + 44100)
    keys = Keys(jack)
    jack.connect("keys:out", jack.ports("LMDM Live:in")[0])
    time.sleep(0.2)
    keys.send_message([0x90, 67, 100])
    until(lambda: look().held == (67,))
    keys.delete()


def test_buffer_output_and_effects_while_playing(performance):
    look = performance.snapshot
    performance.send(SetBuffer(200.0))
    until(lambda: look().buffer_ms == 200.0)
    performance.send(SetLowPass(500.0))
    assert look().low_pass == 500.0
    performance.send(SelectOutput("theremin"))
    until(lambda: "no audio output device 'theremin'" in look().text)
    assert look().device == "system"
    performance.send(NoteOn(60))
    performance.send(Panic())
    assert look().muted
    until(lambda: look().held == ())
