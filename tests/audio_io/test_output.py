"""Laws of the output chain, on a clock that the test turns: no thread, no waiting, no luck."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest
import soxr

from audio_io.output import Audio, Output, OutputConfig
from audio_io.playout import ClockPlayout

RATE = 48000


class Stage:
    """An output on a turned clock, with everything that was played."""

    def __init__(self, frequency: float = 440.0, level: float = 0.5, source_rate: int = RATE):
        self.now, self.position, self.available = 0.0, 0, 10**9
        self.frequency, self.level, self.source_rate = frequency, level, source_rate
        self.playout = ClockPlayout(RATE, 8192, clock=lambda: self.now)
        self.output = Output(self.read, self.playout, OutputConfig(source_rate=source_rate))
        self.pieces: list[Audio] = []
        self.output.add_tap(self.pieces.append)

    def read(self, count: int) -> Audio:
        count = min(count, self.available)
        times = (self.position + np.arange(count)) / self.source_rate
        self.position += count
        self.available -= count
        wave = self.level * np.sin(2 * np.pi * self.frequency * times)
        return np.repeat(wave[:, None], 2, axis=1).astype(np.float32)

    def turn(self, seconds: float) -> None:
        """Lets time pass in ticks of 8 ms, the feeder's own."""
        for _ in range(round(seconds / 0.008)):
            self.now += 0.008
            self.output._feed()

    def heard(self) -> Audio:
        return np.concatenate(self.pieces)


def residual(audio: Audio, frequency: float, rate: int = RATE) -> np.ndarray:
    """|x[n] - 2 cos w x[n-1] + x[n-2]|: 0 for an undisturbed sine, large at any jump."""
    x = audio[:, 0].astype(np.float64)
    return np.abs(x[2:] - 2 * np.cos(2 * np.pi * frequency / rate) * x[1:-1] + x[:-2])


@pytest.fixture
def stage() -> Iterator[Stage]:
    return Stage()


def test_same_rate_passes_unchanged(stage: Stage) -> None:
    stage.turn(2.0)
    heard = stage.heard()
    assert len(heard) > 1.7 * RATE
    assert residual(heard[RATE:], 440).max() < 1e-5
    assert stage.output.stats().underruns == 0
    assert stage.output.stats().starvations == 0


def test_resampled_sine_keeps_pitch_level_and_purity() -> None:
    stage = Stage(source_rate=44100)
    stage.turn(3.0)
    tail = stage.heard()[RATE : 2 * RATE]
    assert residual(tail, 440).max() < 1e-4
    spectrum = np.abs(np.fft.rfft(tail[:, 0] * np.hanning(RATE)))
    assert spectrum.argmax() == 440  # bins of 1 Hz
    assert np.sqrt((tail**2).mean()) == pytest.approx(0.5 / np.sqrt(2), rel=1e-3)


def test_loud_source_stays_below_the_ceiling() -> None:
    stage = Stage(level=5.0, source_rate=44100)
    stage.output.set_gain_db(12.0)
    stage.turn(1.0)
    assert 0.8 < np.abs(stage.heard()).max() <= 10 ** (-1 / 20)
    assert stage.output.stats().gain_reduction_db > 12


def silence_after(stage: Stage, position: int) -> int:
    """Frames from a position until there is only silence."""
    heard = stage.heard()
    return 1 + int(np.flatnonzero(heard[:, 0] != 0)[-1]) - position


def test_mute_overtakes_the_sound_that_waits(stage: Stage) -> None:
    """Silence after a device period, a guard and the 10 ms fade; not after the buffer."""
    stage.turn(1.0)
    before = stage.playout.written - stage.playout.queued
    stage.output.set_mute(True)
    stage.turn(0.5)
    limit = stage.playout.period + 0.002 * RATE + 0.010 * RATE + 0.008 * RATE  # a tick to notice
    assert silence_after(stage, before) <= limit
    # the sine's own steps are 0.029, and the ramp's
    assert np.abs(np.diff(stage.heard()[RATE // 2 :, 0])).max() < 0.04
    stage.output.set_mute(False)
    stage.turn(1.0)
    assert residual(stage.heard()[-RATE // 4 :], 440).max() < 1e-5


def test_panic_is_silence_within_a_device_period_and_ten_milliseconds(stage: Stage) -> None:
    stage.turn(1.0)
    before = stage.playout.written - stage.playout.queued
    stage.output.panic()
    stage.output._feed()  # the feeder is woken at once
    stage.turn(0.5)
    assert silence_after(stage, before) <= stage.playout.period + 0.010 * RATE
    assert np.abs(np.diff(stage.heard()[RATE // 2 :, 0])).max() < 0.045


def test_mute_and_back_within_one_ramp_never_jumps(stage: Stage) -> None:
    stage.turn(1.0)
    for on in (True, False, True, False):
        stage.output.set_mute(on)
        stage.turn(0.004)
        stage.output._feed()
    stage.turn(1.0)
    assert np.abs(np.diff(stage.heard()[RATE // 2 :, 0])).max() < 0.05
    assert residual(stage.heard()[-RATE // 4 :], 440).max() < 1e-5


def test_filters_and_level_act_on_what_waits_already(stage: Stage) -> None:
    """A low-pass far below the tone is heard after a device period, not after the buffer."""
    stage.turn(1.0)
    before = stage.playout.written - stage.playout.queued
    stage.output.set_low_pass(40.0)
    stage.turn(0.3)
    heard = stage.heard()[:, 0]
    assert np.abs(heard[before + round(0.040 * RATE) : before + round(0.12 * RATE)]).max() < 0.1
    assert np.abs(np.diff(heard[RATE // 2 :])).max() < 0.05
    stage.output.set_low_pass(None)
    stage.turn(0.5)
    assert residual(stage.heard()[-RATE // 8 :], 440).max() < 1e-5
    stage.output.set_wet(0.0)
    stage.turn(0.5)
    assert np.abs(stage.heard()[-RATE // 8 :]).max() == 0.0
    assert np.abs(np.diff(stage.heard()[RATE // 2 :, 0])).max() < 0.05


class Microphone:
    """A live input that hears a 300 Hz tone: what came since the last look, in whole pieces."""

    def __init__(self, stage: Stage, rate: int, piece: int = 200) -> None:
        self._stage, self._rate, self._piece = stage, rate, piece
        self._given = round(stage.now * rate)

    def __call__(self, count: int) -> Audio:
        came = round(self._stage.now * self._rate) // self._piece * self._piece
        count = max(0, min(count, came - self._given))
        times = (self._given + np.arange(count)) / self._rate
        self._given += count
        wave = 0.5 * np.sin(2 * np.pi * 300 * times)
        return np.repeat(wave[:, None], 2, axis=1).astype(np.float32)


@pytest.mark.parametrize("source_rate", [RATE, 44100])
def test_the_live_input_is_heard_as_much_as_asked(source_rate: int) -> None:
    stage = Stage(source_rate=source_rate, level=0.0)
    stage.output.listen_to(Microphone(stage, source_rate))
    stage.turn(0.5)
    assert np.abs(stage.heard()).max() == 0.0
    stage.output.set_dry(0.5)
    stage.turn(1.0)
    tail = stage.heard()[-RATE // 4 :]
    assert np.abs(tail).max() == pytest.approx(0.25, rel=1e-2)
    assert residual(tail, 300).max() < 1e-4
    stage.output.listen_to(None)
    stage.turn(0.5)
    assert np.abs(stage.heard()[-RATE // 20 :]).max() == 0.0


@pytest.mark.parametrize("buffer_ms", [90.0, 300.0])
def test_the_live_input_is_heard_at_once_however_much_waits(buffer_ms: float) -> None:
    """A tone that begins: 40 ms later at most it is at the device."""
    stage = Stage(level=0.0)
    stage.output.set_buffer_ms(buffer_ms)
    stage.output.set_dry(1.0)
    stage.turn(1.0)
    stage.output.listen_to(Microphone(stage, RATE))
    begun = stage.playout.written - stage.playout.queued
    stage.turn(0.5)
    late = np.argmax(np.abs(stage.heard()[begun:, 0]) > 0.0)
    assert 0 < late < 0.04 * RATE
    assert residual(stage.heard()[begun + late + 10 : begun + RATE // 4], 300).max() < 1e-4


@pytest.mark.parametrize("source_rate", [RATE, 44100])
def test_a_take_is_told_where_the_live_input_is_heard(source_rate: int) -> None:
    stage = Stage(level=0.0, source_rate=source_rate)
    told: list[tuple[int, Audio]] = []
    stage.output.listen_to(
        Microphone(stage, source_rate),
        lambda pcm, behind: told.append((stage.position - behind, pcm)),
    )
    stage.output.set_dry(1.0)
    stage.turn(1.5)
    for (place, pcm), (following, _) in itertools.pairwise(told[5:]):
        assert abs(following - (place + len(pcm))) <= 1
    ears = soxr.resample(stage.heard()[stage.output._limiter.latency :, 0], RATE, source_rate)
    place, pcm = next(each for each in told if each[0] > source_rate)  # the source's sample 0 first
    length, reach = len(pcm), source_rate // 700  # less than half a period of the tone
    apart = [
        np.abs(ears[place + late :][:length] - pcm[:, 0]).max() for late in range(-reach, reach)
    ]
    assert abs(np.argmin(apart) - reach) <= 1
    assert min(apart) < 0.03


def test_a_fader_moves_the_live_input_as_if_nothing_had_waited(stage: Stage) -> None:
    """Gain and dry are turned while pieces come: no step beyond the tones' own."""
    stage.output.listen_to(Microphone(stage, RATE))
    stage.output.set_dry(0.5)
    stage.turn(0.5)
    for turn in range(60):
        stage.output.set_gain_db(-float(turn % 7))
        stage.output.set_dry(0.5 + 0.4 * (turn % 2))
        stage.turn(0.024)
    heard = stage.heard()[RATE // 2 :, 0].astype(np.float64)
    assert np.abs(np.diff(heard)).max() < 0.06


def test_a_late_feeder_lets_the_live_input_go_on_with_more_room(stage: Stage) -> None:
    stage.output.listen_to(Microphone(stage, RATE))
    stage.output.set_wet(0.0)
    stage.output.set_dry(1.0)
    stage.turn(1.0)
    for _ in range(4):  # 25 ms late each half second: there are holes, but no more at the end
        stage.turn(0.496)
        stage.now += 0.017
    stage.turn(1.0)
    tail = stage.heard()[-round(1.2 * RATE) :]
    assert stage.output.stats().underruns == 0
    assert residual(tail, 300).max() < 1e-3


def test_gain_change_renders_as_if_nothing_had_waited(stage: Stage) -> None:
    """Two changes in a row, while the first one's ramp is still waiting."""
    stage.turn(1.0)
    stage.output.set_gain_db(-12.0)
    stage.turn(0.008)
    stage.output.set_gain_db(-6.0)
    stage.turn(1.0)
    heard = stage.heard()
    assert np.abs(np.diff(heard[RATE // 2 :, 0])).max() < 0.04
    assert np.abs(heard[-RATE // 2 :]).max() == pytest.approx(0.5 * 10 ** (-6 / 20), rel=1e-3)


def test_short_source_gap_is_bridged_by_the_buffer(stage: Stage) -> None:
    stage.turn(1.0)
    stage.available = 0
    stage.turn(0.080)
    stage.available = 10**9
    stage.turn(1.0)
    assert stage.output.stats().starvations == 0
    assert residual(stage.heard()[RATE:], 440).max() < 1e-5


def test_long_source_gap_fades_and_comes_back(stage: Stage) -> None:
    """Counted as starvation, never as underrun, and without a click either way."""
    stage.turn(1.0)
    stage.available = 0
    stage.turn(0.6)
    stage.available = 10**9
    stage.turn(1.0)
    stats, heard = stage.output.stats(), stage.heard()
    assert (stats.starvations, stats.underruns) == (1, 0)
    assert 300 < stats.starved_ms < 600
    assert np.abs(np.diff(heard[:, 0])).max() < 0.05
    chunks = heard[:, 0].reshape(-1, stage.output.config.chunk_frames)
    quiet = np.abs(chunks).max(axis=1) < 1e-3
    assert quiet[int(1.2 * 200) :].sum() > 50
    assert residual(heard[-RATE // 4 :], 440).max() < 1e-5


def test_late_feeder_is_an_underrun(stage: Stage) -> None:
    stage.turn(1.0)
    stage.now += 0.5
    stage.turn(0.1)
    assert stage.output.stats().underruns == 1
    stage.turn(0.4)
    assert abs(stage.output.stats().played_seconds - 2.0) < 0.02  # caught up: the take is whole
    assert stage.output.stats().underruns == 1


def test_a_trouble_that_goes_on_is_told_once_and_again_when_it_comes_back(stage: Stage) -> None:
    stage.turn(0.5)
    for _ in range(10):  # of two and a half seconds: the system is late all the time
        stage.playout.device_xruns += 3
        stage.turn(0.25)
    assert len(stage.output.dropouts) == 1
    assert stage.output.stats().device_xruns == 30
    stage.turn(2.0)
    stage.playout.device_xruns += 1
    stage.turn(0.1)
    first, second = stage.output.dropouts
    assert first.reason == second.reason
    assert second.seconds - first.seconds > 4.0


def test_a_device_as_fast_as_the_feeder_does_not_keep_it(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a machine that is overrun: nothing piles up, and a mute is still acted upon."""
    stage.turn(1.0)
    monkeypatch.setattr(ClockPlayout, "queued", 0)  # each frame is taken before the next is there
    most, written = 0, stage.playout.written
    for _ in range(20):
        stage.output._feed()
        most = max(most, len(stage.output._chunks))
    assert most == 0
    assert stage.playout.written > written
    stage.output.set_mute(True)
    stage.output._feed()
    assert len(stage.pieces[-1]) and not stage.pieces[-1].any()


def test_source_tap_gets_what_was_pulled() -> None:
    stage = Stage(source_rate=44100)
    pulled: list[Audio] = []
    stage.output.add_tap(pulled.append, point="source")
    stage.turn(0.5)
    total = np.concatenate(pulled)
    assert len(total) == stage.position
    assert residual(total[1000:], 440, 44100).max() < 1e-5


def test_switch_goes_on_with_another_rate() -> None:
    """The thread itself: a new device takes over, the counters run on."""
    stage = Stage()
    stage.output = Output(stage.read, ClockPlayout(48000, 8192))
    stage.output.start()
    try:
        while stage.output.stats().played_seconds < 0.3:
            pass
        stage.output.switch(ClockPlayout(44100, 8192))
        while stage.output.stats().rate != 44100 or stage.output.stats().played_seconds < 0.6:
            pass
        assert not stage.output.stats().device_lost
    finally:
        stage.output.close()
