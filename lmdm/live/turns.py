"""How one control message acts on a session's state (notes act later, by frame)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from lmdm.live import messages as m
from lmdm.live import wire
from lmdm.live.clock import SAMPLE_RATE, MusicalClock
from lmdm.live.controls import MOMENTARY, Controls
from lmdm.live.glide import Glide
from lmdm.live.take import Applied

if TYPE_CHECKING:
    from lmdm.live.session import Session

EXACT = (m.SetTempo, m.SetBeat, m.SetClock)  # act at their sample, not at their frame
QUANTISABLE = (m.SetPrompts, m.SetStylePrompts, m.SetNegativePrompt)


def quantised(message: m.Message, controls: Controls) -> m.Message:
    """A message that waits for the boundary of `SetQuantise`, where it is one of those."""
    if isinstance(message, QUANTISABLE) and controls.quantise != "now":
        return m.Quantised(controls.quantise, message)
    return message


def lasting(controls: list[Applied]) -> list[Applied]:
    """Controls in order, of those that only set a value of one kind at one place the last."""
    kept: list[Applied] = []
    later: set[tuple[int, object]] = set()  # places and what is set there
    for each in reversed(controls):
        place = (each.sample, each.message.control)
        if each.message.control is None or place not in later:
            kept.append(each)
        later.add(place)
    return kept[::-1]


def turn(session: Session, applied: Iterable[Applied]) -> None:
    """Lets controls act, in order."""
    for each in applied:
        _control(session, each)
        _event(session, each)


def _control(session: Session, each: Applied) -> None:
    before = session.controls
    session.controls = after = before.after(each.message)
    if isinstance(each.message, m.SetControls) and each.message.scene:
        session.scene = each.message.scene
    if isinstance(each.message, m.SetTempo) or after.bpm != before.bpm:
        session.clock = session.clock.with_tempo(after.bpm, each.sample)
    if isinstance(each.message, m.SetSeed) or after.seed != before.seed:
        session.stream.reseed(after.seed)
    names = session.local_controls
    former, wanted = before.weighted_prompts(names), after.weighted_prompts(names)
    if wanted != former:
        beat = session.clock.beat(each.sample)
        heard = session.glide.weights(former, beat)
        session.glide = Glide(heard, beat, after.glide) if after.glide > 0.0 else Glide()


def _event(session: Session, each: Applied) -> None:
    message = each.message
    if isinstance(message, m.SetBeat):
        _jump(session, session.clock.with_beat(message.beat, each.sample), each.sample)
    elif isinstance(message, m.SetClock):
        since = each.sample - (each.sample if message.heard is None else message.heard)
        beat = message.beat + since * message.bpm / (60.0 * SAMPLE_RATE)
        _jump(session, session.clock.with_both(message.bpm, beat, each.sample), each.sample)
    elif isinstance(message, m.SetMeter):
        session.clock = replace(
            session.clock,
            beats_per_bar=message.beats_per_bar,
            bars_per_phrase=message.bars_per_phrase,
        )
    elif isinstance(message, m.ResetContext):
        session.stream.reset()
    elif isinstance(message, m.Resume):
        session.start_again(message.seed)
    elif isinstance(message, m.PrimeWith):
        given = wire.array_of(message.latents, session.latent_channels)
        session.stream.prime(session.tensor(given))
    elif isinstance(message, m.HearInput):
        session.hear(message)
    elif isinstance(message, m.PrimeFromBars):
        bar = session.clock.beats_per_bar * 60.0 * SAMPLE_RATE / session.clock.bpm(each.sample)
        frames = min(round(message.bars * bar / session.frame_samples), session.context_frames)
        latents, local = session.history.before(session.history.frames, frames)
        if latents.shape[1] >= session.block_frames:
            session.stream.prime(latents, local)
    elif isinstance(message, m.UndoBars):
        _undo(session, each.sample, message.bars)


def _jump(session: Session, clock: MusicalClock, sample: int) -> None:
    """The clock is set to another beat; what was begun some beats ago was begun as long ago."""
    beats = _set_clock(session, clock, sample)
    session.glide = session.glide.moved(beats)
    session.recollection.moved(round(beats / clock.beats_per_bar))


def _set_clock(session: Session, clock: MusicalClock, sample: int) -> float:
    """Sets it, and keeps the newest note as long ago as it was; the beats that it jumps."""
    beats = clock.beat(sample) - session.clock.beat(sample)
    session.clock = clock
    session.last_note_beat += beats
    return beats


def _undo(session: Session, sample: int, bars: int) -> None:
    session.controls = replace(session.controls, freeze=None)  # it is to play on
    bar = session.history.bars_back(session.clock.beat(sample), bars)
    if bar is None:
        return
    latents, local = session.history.before(bar.frame, session.context_frames)
    session.stream.reset()
    if latents.shape[1] >= session.block_frames:
        session.stream.prime(latents, local)
    kept = {name: getattr(session.controls, name) for name in MOMENTARY}
    session.controls = replace(bar.controls, **kept)
    _set_clock(session, session.clock.with_both(bar.controls.bpm, bar.beat, sample), sample)
    session.glide = Glide()
    session.recollection.taken_back(bar.frame)


def by_frame(
    applied: list[Applied], position: int, frame_samples: int
) -> list[tuple[int, list[Applied]]]:
    """Controls of a block by the frame they stand in; frame 0 is always there."""
    parts: dict[int, list[Applied]] = {0: []}
    for each in applied:
        parts.setdefault(max(0, (each.sample - position) // frame_samples), []).append(each)
    return sorted(parts.items())
