"""The channel layout, and that live values and training labels give the same features."""

import numpy as np
import pytest

from lmdm.conditioning.accompaniment import AccompanimentFrames
from lmdm.conditioning.beat import BeatFrames
from lmdm.conditioning.brightness import brightness_frames
from lmdm.conditioning.chord import chroma, chroma_frames
from lmdm.conditioning.density import amount_of_rate, density_frames
from lmdm.conditioning.local import CONTROLS, LocalConditioning
from lmdm.conditioning.loudness import level_of_db, level_of_rms
from lmdm.conditioning.notes import NoteFrames
from lmdm.errors import InputError
from lmdm.live import messages
from lmdm.live.messages import NoteOff, NoteOn
from lmdm.live.notes import HeldNotes

FIVE = ("notes", "beat", "chord", "loudness", "drums")
FRAMES = 4

EXAMPLES = {
    "notes": NoteFrames.from_notes(np.array([[1.0, 3.0, 60, 127]]), 0, FRAMES),
    "beat": BeatFrames.from_positions(np.arange(FRAMES) * 0.3, 90.0),
    "chord": chroma((0, 4, 7)),
    "loudness": 0.5,
    "drums": True,
    "bass": True,
    "density": 0.25,
    "brightness": 0.75,
    "accompaniment": AccompanimentFrames(np.full((64, FRAMES), -3.0), np.ones(FRAMES, bool)),
}


def test_channels_follow_one_another_in_order() -> None:
    conditioning = LocalConditioning(FIVE)
    assert conditioning.channels == 280
    sizes = {name: place.stop - place.start for name, place in conditioning.slices.items()}
    assert sizes == {"notes": 257, "beat": 6, "chord": 13, "loudness": 2, "drums": 2}
    assert list(sizes) == list(FIVE)


@pytest.mark.parametrize("name", sorted(CONTROLS))
def test_every_control_keeps_its_declaration(name: str) -> None:
    control = CONTROLS[name]
    features = control.features(EXAMPLES[name], FRAMES)
    assert features.shape == (control.channels, FRAMES) and features.dtype == np.float32
    assert features.min() >= control.range[0] and features.max() <= control.range[1]
    assert (features[control.given] == 1.0).all()
    assert not control.features(None, FRAMES).any()
    assert 0.0 < control.dropout < 1.0
    for kind in control.messages:
        assert issubclass(getattr(messages, kind), messages.Message)
        assert getattr(messages, kind).lane == control.lane


def test_absent_and_none_are_zeros() -> None:
    conditioning = LocalConditioning(FIVE)
    features = conditioning.features({"drums": False, "chord": None}, FRAMES)
    drums = conditioning.slices["drums"]
    assert features[drums].tolist() == [[1.0] * FRAMES, [0.0] * FRAMES]
    features[drums] = 0.0
    assert not features.any()


def test_features_are_each_controls_own_in_its_slice() -> None:
    conditioning = LocalConditioning(reversed(FIVE))
    features = conditioning.features({name: EXAMPLES[name] for name in FIVE}, FRAMES)
    for name, place in conditioning.slices.items():
        np.testing.assert_array_equal(
            features[place], CONTROLS[name].features(EXAMPLES[name], FRAMES)
        )


def test_drop_leaves_out_each_control_at_its_rate() -> None:
    conditioning = LocalConditioning(FIVE)
    generator = np.random.default_rng(0)
    draws = 2000
    kept = [set(conditioning.drop(dict.fromkeys(FIVE), generator)) for _ in range(draws)]
    for name in FIVE:
        share = sum(name not in each for each in kept) / draws
        assert abs(share - CONTROLS[name].dropout) < 0.05


def test_mistakes_are_named() -> None:
    with pytest.raises(InputError, match="no control 'tempo'; the controls are accompaniment"):
        LocalConditioning(("tempo",))
    with pytest.raises(InputError, match="'drums' is listed twice"):
        LocalConditioning(("drums", "drums"))
    with pytest.raises(InputError, match="hears no control 'notes'; it hears: drums"):
        LocalConditioning(("drums",)).features({"notes": None}, FRAMES)
    with pytest.raises(ValueError, match=r"level has shape \(3,\), not \(4,\)"):
        CONTROLS["loudness"].features(np.zeros(3), FRAMES)


def test_labelled_notes_equal_keys_played_live() -> None:
    """A note list read in training is what the same keys give live, block by block."""
    notes = np.array(
        [
            [0.2, 5.9, 60, 100, 0],
            [2.0, 2.3, 64, 50, 1],
            [3.7, 9.0, 67, 127, 1],
            [6.0, 8.5, 60, 80, 0],
        ]
    )
    events = sorted(
        [(int(first), NoteOn(int(pitch), int(velocity))) for first, _, pitch, velocity, _ in notes]
        + [(int(end), NoteOff(int(pitch))) for _, end, pitch, _, _ in notes],
        key=lambda event: event[0],
    )
    held = HeldNotes()
    for start in range(0, 12, FRAMES):
        inside = [(at - start, each) for at, each in events if start <= at < start + FRAMES]
        grid = held.block(inside, FRAMES)
        live = CONTROLS["notes"].features(NoteFrames(grid.onset, grid.sounding), FRAMES)
        labelled = CONTROLS["notes"].features(NoteFrames.from_notes(notes, start, FRAMES), FRAMES)
        np.testing.assert_allclose(labelled, live, rtol=1e-6)


def test_notes_layout() -> None:
    features = CONTROLS["notes"].features(EXAMPLES["notes"], FRAMES)
    assert features[60].tolist() == [0, 1, 0, 0]
    assert features[128 + 60].tolist() == [0, 1, 1, 0]
    assert features.sum() == 1 + 2 + FRAMES


def test_labelled_beats_equal_the_clocks_positions() -> None:
    """Beats every 5 frames, bars of 3: the phases are those of counting beats."""
    rate, spacing = 21.5, 5.0
    beats = np.array([[1.0 + spacing * k, k % 3] for k in range(12)])
    start, frames = 4, 40
    positions = (start + np.arange(frames) + 0.5 - 1.0) / spacing
    labelled = BeatFrames.from_beats(beats, start, frames, rate)
    played = BeatFrames.from_positions(positions, 60.0 * rate / spacing, beats_per_bar=3)
    np.testing.assert_allclose(
        CONTROLS["beat"].features(labelled, frames),
        CONTROLS["beat"].features(played, frames),
        atol=1e-5,
    )


def test_beat_is_not_given_outside_the_labelled_beats() -> None:
    beats = np.array([[4.0, 0], [6.0, 1], [8.0, 2]])
    features = CONTROLS["beat"].features(BeatFrames.from_beats(beats, 0, 12, 21.5), 12)
    assert features[0].tolist() == [0] * 4 + [1] * 4 + [0] * 4
    assert not features[:, :4].any() and not features[:, 8:].any()
    none = BeatFrames.from_beats(np.zeros((0, 2)), 0, 12, 21.5)
    assert not CONTROLS["beat"].features(none, 12).any()


def test_beat_layout_at_a_downbeat() -> None:
    features = CONTROLS["beat"].features(BeatFrames.from_positions(np.array([4.0, 5.0]), 240.0), 2)
    expected = np.array([[1, 0, 1, 0, 1, 1], [1, 0, 1, 1, 0, 1]]).T
    np.testing.assert_allclose(features, expected, atol=1e-6)


def test_chords_hold_between_their_ends() -> None:
    chords = np.zeros((2, 14))
    chords[0, :2], chords[0, [2, 6, 9]] = (0.0, 2.0), 1.0  # C major
    chords[1, :2], chords[1, [11, 2, 6]] = (3.0, 9.0), 1.0  # A minor
    features = CONTROLS["chord"].features(chroma_frames(chords, 0, FRAMES), FRAMES)
    assert features[0].tolist() == [1, 1, 0, 1]
    np.testing.assert_array_equal(features[1:, 0], chroma((0, 4, 7)))
    np.testing.assert_array_equal(features[1:, 3], chroma((9, 0, 4)))


def test_loudness_levels() -> None:
    assert level_of_rms(0.0) == level_of_db(-90.0) == -1.0
    assert level_of_db(-24.0) == 0.0
    assert level_of_rms(1.0) == level_of_db(6.0) == 1.0
    assert level_of_rms(10 ** (-36 / 20)) == pytest.approx(-0.5)


def test_density_counts_the_onsets_of_two_seconds_by_octaves() -> None:
    rate = 20.0
    onsets = np.arange(0.0, 400.0, rate / 4)  # four a second
    middle = density_frames(onsets, 150, 50, rate)
    np.testing.assert_allclose(middle, amount_of_rate(4.0), atol=1e-6)
    assert float(amount_of_rate(8.0)) - float(amount_of_rate(4.0)) == pytest.approx(1 / 6)
    assert amount_of_rate(0.0) == 0.0 and amount_of_rate(100.0) == 1.0
    lonely = density_frames(np.array([50.0]), 0, 100, rate)
    assert not lonely.any()  # one in two seconds is as sparse as it gets


@pytest.mark.parametrize("hertz", [200.0, 400.0, 1600.0, 8000.0])
def test_brightness_of_a_sine_is_its_pitch(hertz: float) -> None:
    size, rate = 2048, 44100
    sine = 0.1 * np.sin(2 * np.pi * hertz * np.arange(20 * size) / rate)
    audio = np.stack([sine, sine], axis=1).astype(np.float32)
    found = brightness_frames(audio, 20, size, rate)
    expected = np.log2(hertz / 200) / np.log2(40)
    np.testing.assert_allclose(found, expected, atol=0.02)
    quiet = np.concatenate([audio, np.zeros_like(audio)])
    np.testing.assert_allclose(brightness_frames(quiet, 40, size, rate)[24:], found[-1], atol=0.1)


def test_an_accompaniment_is_given_as_far_as_it_can_have_been_played() -> None:
    played = np.tile(np.arange(40.0, dtype=np.float32), (64, 1))
    aligned = AccompanimentFrames.shifted(played, 8, 8, visibility=4, block=4)
    assert aligned.latents[0].tolist() == list(range(8, 16))
    block_before = AccompanimentFrames.shifted(played, 8, 8, visibility=0, block=4)
    assert block_before.latents[5].tolist() == list(range(4, 12))
    early = AccompanimentFrames.shifted(played, 0, 8, visibility=0, block=4)
    features = CONTROLS["accompaniment"].features(early, 8)
    assert features[0].tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    assert not features[:, :4].any()
    for start in range(0, 40, 4):  # no block hears what is played after it begins
        given = AccompanimentFrames.shifted(played, start, 4, visibility=0, block=4)
        assert (given.latents[:, given.known] < start).all()
