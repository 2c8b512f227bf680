"""What the engine reports, in plain words. Pure; no Qt.

>>> seconds_words(75.2)
'1:15'
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lmdm.live.messages import Landed, Lane, Snapshot, Waiting

Tone = Literal["quiet", "plain", "good", "warning", "alarm"]
LANES: tuple[Lane, ...] = ("instant", "block", "scene")
CLOCK_WORDS = {"midi": "MIDI clock", "link": "Ableton Link"}


@dataclass(frozen=True)
class Phrase:
    """A few words for the status line, how they should look, and what they mean at length."""

    text: str
    tone: Tone = "plain"
    meaning: str = ""
    lane: Lane | None = None
    lamp: bool = False  # a lamp in the tone's colour stands before it


def state(snapshot: Snapshot) -> Phrase:
    """What the instrument is doing, in a word or two."""
    if snapshot.status == "playing":
        if snapshot.transport == "paused":
            return Phrase("Paused", "quiet", "Play goes on from here.")
        if snapshot.transport == "stopped":
            return Phrase("Stopped", "quiet", "Play begins afresh at bar 1.")
        if snapshot.muted:
            return Phrase("Muted", "warning", "The music goes on, unheard. Unmute to hear it.")
        return Phrase("Playing", "good", "Music is being made and heard.")
    if snapshot.status == "loading":
        return Phrase(f"Loading {snapshot.progress * 100:.0f} %", "plain", snapshot.text)
    if snapshot.status == "restarting":
        return Phrase("Restarting", "warning", snapshot.text or "The last bars loop meanwhile.")
    if snapshot.status == "failed":
        return Phrase("Failed", "alarm", snapshot.text)
    return Phrase("Stopped", "quiet", snapshot.text)


def latencies(snapshot: Snapshot) -> tuple[Phrase, ...]:
    """One phrase for each lane that has been measured."""
    phrases = []
    for lane in LANES:
        measured = snapshot.latency.get(lane)
        if measured is None or not measured.count:
            continue
        spread = (
            f"half within {measured.p50:.0f} ms, 95 of 100 within {measured.p95:.0f} ms "
            f"(last {measured.count})."
        )
        if lane == "scene":  # it is meant to wait: what counts is how near the beat it lands
            words, what = f"scene ±{measured.p50:.0f} ms", "How near its beat a change lands"
        else:
            words, what = (
                f"{lane} {measured.p50:.0f} ms",
                f"From a control of the {lane} lane to the ear",
            )
        phrases.append(Phrase(words, "plain", f"{what}: {spread}", lane))
    return tuple(phrases)


def landed(mark: Landed) -> str:
    """A few words beside the mark of a change; none where the panel shows it anyway.

    >>> landed(Landed("set_guidance", "2.2", 0, 0.0)), landed(Landed("note_on", "60 100", 0, 0.0))
    ('guidance 2.2', '')
    """
    if mark.kind in ("note_on", "note_off", "sustain", "set_pitch_bend"):
        return ""
    if mark.kind in ("set_controls", "recall_scene"):
        return mark.text
    name = kind_words(mark.kind)
    short = mark.kind not in ("set_prompts", "set_pad", "prime", "set_style_prompts")
    return f"{name} {mark.text}".strip() if short and len(mark.text) < 16 else name


def kind_words(kind: str) -> str:
    """`set_blend_mode` to `blend mode`."""
    return kind.removeprefix("set_").replace("_", " ")


def waiting_words(waiting: Waiting) -> str:
    """A change that waits: the scene's name, or what is changed."""
    scene = waiting.kind in ("set_controls", "recall_scene", "recall_scene_number")
    return waiting.text if scene and waiting.text else kind_words(waiting.kind)


def engine(snapshot: Snapshot) -> Phrase:
    """How much of its time the engine needs."""
    factor = snapshot.real_time_factor
    if factor <= 0.0:
        return Phrase("speed –", "quiet", "Nothing has been measured yet.")
    meaning = (
        f"A second of music takes {factor:.2f} s to make (real-time factor {factor:.2f}); "
        "above 1 it cannot keep up."
    )
    if factor >= 1.0:
        return Phrase(f"too slow: {factor:.2f}× real time", "alarm", meaning)
    return Phrase(f"load {factor * 100:.0f} %", "warning" if factor > 0.85 else "plain", meaning)


def lead(snapshot: Snapshot) -> Phrase:
    """How much music is ready."""
    meaning = "Music already made and not yet heard. More is safer; less answers sooner."
    return Phrase(f"{snapshot.lead_ms / 1000:.2f} s ahead", "plain", meaning)


def dropouts(snapshot: Snapshot) -> Phrase:
    """How often the sound ran out."""
    meaning = "How often the sound device asked for music that was not ready."
    if snapshot.underruns == 0:
        return Phrase("no dropouts", "plain", meaning)
    noun = "dropout" if snapshot.underruns == 1 else "dropouts"
    return Phrase(f"{snapshot.underruns} {noun}", "warning", meaning)


def governor(snapshot: Snapshot) -> Phrase:
    """Whether quality is given up to keep in time, and why."""
    meaning = "The governor gives up quality before the sound runs out."
    if not snapshot.governor_on:
        return Phrase("governor off", "quiet", "Nothing is given up; the sound may run out.")
    if not snapshot.governor:
        return Phrase("full quality", "quiet", meaning)
    return Phrase(snapshot.governor, "warning", meaning)


def memorization(snapshot: Snapshot) -> Phrase | None:
    """The memorization light; None where there is none."""
    light = snapshot.memorization
    if not light.state:
        return None
    told = light.text[:1].upper() + light.text[1:] + "."
    what = "The memorization light: is what plays close to the training set? No proof either way."
    words: dict[str, tuple[str, Tone]] = {
        "near": ("close to the training set", "alarm"),
        "unusual": ("unusual updates", "warning"),
        "clear": ("no copy seen", "good"),
    }
    text, tone = words.get(light.state, ("copies unknown", "quiet"))
    return Phrase(text, tone, f"{what} {told}", lamp=True)


def status_line(snapshot: Snapshot) -> tuple[Phrase, ...]:
    """All phrases of the status line, most urgent first; those with nothing to say are left out."""
    phrases = [*latencies(snapshot), engine(snapshot), lead(snapshot), dropouts(snapshot)]
    light = memorization(snapshot)
    if light is not None:
        phrases.insert(0 if snapshot.memorization.state in ("near", "unusual") else 3, light)
    if snapshot.restarts:
        times = "once" if snapshot.restarts == 1 else f"{snapshot.restarts} times"
        phrases.append(Phrase(f"restarted {times}", "warning", "The engine was started anew."))
    phrases.append(governor(snapshot))
    if snapshot.status == "playing" and snapshot.text not in ("", "playing"):
        phrases.append(Phrase(snapshot.text, "quiet"))
    return tuple(phrases)


def surroundings(snapshot: Snapshot) -> tuple[Phrase, ...]:
    """Clock, model, sound device and MIDI."""
    phrases = []
    if snapshot.clock_source != "internal":
        words = snapshot.clock_text or CLOCK_WORDS.get(snapshot.clock_source, "")
        phrases.append(Phrase(words, "quiet", "Who gives the tempo."))
    phrases.append(Phrase(snapshot.model or "no model", "quiet", "The model that plays."))
    if snapshot.device_lost:
        words = f"{snapshot.device or 'device'} unplugged"
        phrases.append(Phrase(words, "warning", "The music goes on, and comes back with it."))
    else:
        tone: Tone = "quiet" if snapshot.device else "warning"
        where = f"Where the sound goes; {snapshot.device_ms:.0f} ms from here to the ear."
        phrases.append(Phrase(snapshot.device or "no sound device", tone, where))
    midi = snapshot.midi or "no MIDI"
    phrases.append(Phrase(midi, "quiet", "Where notes and controllers come from."))
    return tuple(phrases)


def seconds_words(seconds: float) -> str:
    """Minutes and seconds, with hours when there are any."""
    whole = max(0, int(seconds))
    hours, minutes = divmod(whole // 60, 60)
    tail = f"{whole % 60:02d}"
    return f"{hours}:{minutes:02d}:{tail}" if hours else f"{minutes}:{tail}"


def disk_words(seconds: float | None) -> str:
    """How long the disk lasts, roughly; empty when it is not known.

    >>> disk_words(5400), disk_words(90 * 60 * 60), disk_words(200)
    ('1.5 h left', '90 h left', '3 min left')
    """
    if seconds is None:
        return ""
    if seconds < 3600:
        return f"{int(seconds // 60)} min left"
    hours = min(seconds / 3600, 99.0)
    return f"{hours:.1f} h left" if hours < 10 else f"{hours:.0f} h left"
