"""Published layouts, on small copies of them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from lmdm.errors import InputError
from tests.training.conftest import tone, write_tone
from training.data.encode import Encoding, encode
from training.data.labels import sounding_chords
from training.data.layouts.registry import tracks_of
from training.data.pieces import load_pieces
from training.data.shards import read_manifest, read_shard

HEADER = "TRACK_ID\tARTIST_ID\tALBUM_ID\tPATH\tDURATION\tTAGS\n"


def musdb(root: Path) -> Path:
    songs = ("train/A Band - One", "train/ANiMAL - Rockshow", "test/B Band - Two")
    for number, song in enumerate(songs):
        for stem in ("mixture", "drums", "bass", "other", "vocals"):
            write_tone(root / song / f"{stem}.wav", 2.0, 100.0 * (number + 1) + len(stem))
    return root


def jamendo(root: Path) -> Path:
    (root / "data/splits/split-0").mkdir(parents=True)
    rows = [
        "track_0000214\tartist_000014\talbum_000031\t14/214.mp3\t124.6\tgenre---punkrock\n",
        "track_0000382\tartist_000020\talbum_000046\t82/382.mp3\t211.1\tgenre---classical\t"
        "instrument---voice\tmood/theme---calm\n",
        "track_0000759\tartist_000103\talbum_000124\t59/759.mp3\t379.8\tgenre---pop\n",
        "track_0000773\tartist_000104\talbum_000126\t73/773.mp3\t275.3\tgenre---electronic\n",
    ]
    (root / "data/autotagging.tsv").write_text(HEADER + "".join(rows) + "track_9\tbroken\n")
    for split, row in (("train", rows[0]), ("validation", rows[1]), ("test", rows[3])):
        table = root / f"data/splits/split-0/autotagging-{split}.tsv"
        table.write_text(HEADER + row)
    (root / "data/raw.meta.tsv").write_text(
        "TRACK_ID\tARTIST_ID\tALBUM_ID\tTRACK_NAME\tARTIST_NAME\tALBUM_NAME\tRELEASEDATE\tURL\n"
        'track_0000382\tartist_000020\talbum_000046\tA "quoted" name\tSomeone\tX\t2005\tu\n'
    )
    (root / "audio_licenses.txt").write_text(
        "82/382.mp3 by Someone: http://creativecommons.org/licenses/by-sa/3.0/.\n"
    )
    write_tone(root / "audio/14/214.mp3", 2.0)
    write_tone(root / "audio-low/82/382.low.mp3", 2.0)
    write_tone(root / "audio/73/773.mp3", 2.0)
    return root


def slakh(root: Path) -> Path:
    import pretty_midi

    for half in ("train", "validation", "omitted"):
        track = root / half / "Track00001"
        write_tone(track / "mix.flac", 4.0)
        midi = pretty_midi.PrettyMIDI(initial_tempo=120)
        for stem, program, drum in (("S00", 0, False), ("S01", 0, True)):
            write_tone(track / f"stems/{stem}.flac", 4.0, 150.0)
            single = pretty_midi.PrettyMIDI(initial_tempo=120)
            part = pretty_midi.Instrument(program, is_drum=drum)
            part.notes = [
                pretty_midi.Note(90, pitch, 0.5 * n, 0.5 * n + (0.02 if drum else 0.5))
                for n, pitch in enumerate((60, 64, 67, 72))
            ]
            single.instruments.append(part)
            midi.instruments.append(part)
            (track / "MIDI").mkdir(exist_ok=True)
            single.write(str(track / f"MIDI/{stem}.mid"))
        midi.write(str(track / "all_src.mid"))
        (track / "metadata.yaml").write_text(
            "UUID: abc\nstems:\n"
            "  S00: {audio_rendered: true, inst_class: Piano, is_drum: false, program_num: 0}\n"
            "  S01: {audio_rendered: true, inst_class: Drums, is_drum: true, program_num: 128}\n"
            "  S02: {audio_rendered: false, inst_class: Bass, is_drum: false, program_num: 33}\n"
        )
    return root


def test_musdb18_hq(tmp_path: Path, tiny_model: Path) -> None:
    tracks, skipped = tracks_of(musdb(tmp_path / "musdb18hq"))
    assert [t.layout for t in tracks] == ["musdb18"] * 3
    assert {t.name: t.split for t in tracks} == {
        "train/A Band - One": "train",
        "train/ANiMAL - Rockshow": "validation",
        "test/B Band - Two": "test",
    }
    assert [s.name for s in tracks[0].stems] == ["drums", "bass", "other", "vocals"]
    assert skipped == {}
    out = tmp_path / "out"
    encode(tmp_path / "musdb18hq", out, Encoding(model=str(tiny_model)))
    _, arrays = next(read_shard(str(out), "latents-000000.tar"))
    assert {f"stem.{n}" for n in ("drums", "bass", "other", "vocals")} <= set(arrays)
    assert arrays["stem.bass"].shape == arrays["latents"].shape
    assert not np.array_equal(arrays["stem.bass"], arrays["stem.drums"])


def test_musdb18_stem_files(tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    from training.data.sound import read_sound

    root = tmp_path / "musdb18"
    (root / "train").mkdir(parents=True)
    path = root / "train/A Band - One.stem.mp4"
    pitches = (220.0, 330.0, 440.0, 550.0, 660.0)
    with av.open(str(path), "w") as container:
        streams = [container.add_stream("aac", rate=44100, layout="stereo") for _ in pitches]
        for stream, pitch in zip(streams, pitches, strict=True):
            frame = av.AudioFrame.from_ndarray(
                np.ascontiguousarray(tone(2.0, pitch).T), format="fltp", layout="stereo"
            )
            frame.rate = 44100
            for packet in (*stream.encode(frame), *stream.encode(None)):
                container.mux(packet)
    tracks, _ = tracks_of(root)
    assert tracks[0].name == "train/A Band - One"
    for stem, pitch in (("mixture", 220.0), ("bass", 440.0), ("vocals", 660.0)):
        sound = read_sound(path, 44100, stem)[:, 0]
        spectrum = np.abs(np.fft.rfft(sound[8192:40960]))
        assert abs(spectrum.argmax() * 44100 / 32768 - pitch) < 3.0


def test_mtg_jamendo(tmp_path: Path) -> None:
    tracks, skipped = tracks_of(jamendo(tmp_path / "jamendo"))
    by_name = {t.name: t for t in tracks}
    assert set(by_name) == {"14/214", "82/382", "73/773"}  # 59/759 has no audio here
    calm = by_name["82/382"]
    assert (calm.layout, calm.split) == ("jamendo", "validation")
    assert calm.captions[0] == "calm classical music with voice"
    assert calm.licence == "http://creativecommons.org/licenses/by-sa/3.0/"
    assert calm.facts["title"] == 'A "quoted" name'
    assert "autotagging.tsv:6" in skipped
    (tmp_path / "jamendo/exclude.txt").write_text("214\n")
    assert len(tracks_of(tmp_path / "jamendo")[0]) == 2


def test_slakh(tmp_path: Path, tiny_model: Path) -> None:
    tracks, _ = tracks_of(slakh(tmp_path / "slakh"))
    assert [(t.name, t.split) for t in tracks] == [
        ("train/Track00001", "train"), ("validation/Track00001", "validation"),
    ]  # fmt: skip
    assert [(s.family, s.is_drum) for s in tracks[0].stems] == [("Piano", False), ("Drums", True)]
    encode(tmp_path / "slakh", tmp_path / "out", Encoding(model=str(tiny_model)))
    facts, arrays = next(read_shard(str(tmp_path / "out"), "latents-000000.tar"))
    rate = 44100 / 2048
    assert facts["drum_stems"] == [1]
    piano = arrays["notes"][arrays["notes"][:, 4] == 0]
    assert np.allclose(piano[:, 0] / rate, [0.0, 0.5, 1.0, 1.5], atol=2e-3)
    drums = arrays["notes"][arrays["notes"][:, 4] == 1]
    assert np.allclose((drums[:, 1] - drums[:, 0]) / rate, 0.15, atol=2e-3)
    assert np.allclose(np.diff(arrays["beats"][:, 0]) / rate, 0.5, atol=2e-3)
    assert arrays["beats"][:5, 1].tolist() == [0, 1, 2, 3, 0][: len(arrays["beats"][:5])]
    assert {"stem.S00", "stem.S01"} <= set(arrays)


def test_rendered_pieces_bring_their_labels(tmp_path: Path, tiny_model: Path) -> None:
    from safetensors.numpy import save_file

    folder = tmp_path / "pieces/starter-0-00000"
    write_tone(folder / "mix.flac", 3.0)
    write_tone(folder / "input.flac", 3.0, 440.0)
    write_tone(folder / "rest.flac", 3.0, 1760.0)
    labels = {
        "notes": np.array([[0.0, 1.0, 60, 90, 0], [1.0, 1.15, 36, 90, 1]], np.float32),
        "beats": np.array([[0.0, 0], [0.5, 1]], np.float32),
        "chords": np.array([[0.0, 2.0, *([1.0] + [0.0] * 11)]], np.float32),
    }
    save_file(labels, folder / "labels.safetensors")
    stem = {"name": "piano", "program": 0, "family": "piano", "is_drum": False}
    drums = {"name": "kit", "program": 0, "family": "drums", "is_drum": True}
    piece = {
        "style": "s", "captions": ["a", "b"], "stems": [stem, drums], "bpm": 120, "key": "C",
        "seconds": 3.0, "licence": "CC0", "source": "s", "split": "test", "seed": 1,
        "division": {"input_stems": [0], "captions": ["kit"]},
    }  # fmt: skip
    (folder / "piece.json").write_text(json.dumps(piece))
    (tmp_path / "pieces/bad").mkdir()
    (tmp_path / "pieces/bad/piece.json").write_text("{")
    outcome = encode(tmp_path / "pieces", tmp_path / "out", Encoding(model=str(tiny_model)))
    assert list(outcome.skipped) == ["bad"]
    entry = read_manifest(tmp_path / "out").entries[0]
    assert entry.facts["labels"] == ["beats", "brightness", "chords", "loudness", "notes"]
    assert (entry.facts["drum_stems"], entry.facts["split"]) == ([1], "test")
    whole = load_pieces(read_manifest(tmp_path / "out"), [entry])[0]
    rest = whole.rest()
    assert whole.is_divided and not rest.is_divided
    assert rest.arrays["notes"][:, 2].tolist() == [36.0]
    assert rest.facts["captions"] == ["kit"]
    assert (rest.arrays["brightness"] > whole.arrays["brightness"]).all()
    np.testing.assert_array_equal(rest.latents, whole.arrays["rest"])
    given = rest.controls(0, 12, visibility=-4, block=4)["accompaniment"]
    np.testing.assert_array_equal(given.latents[:, 8:], whole.arrays["input"][:, :4])
    assert given.known.tolist() == [False] * 8 + [True] * 4
    assert "accompaniment" not in whole.controls(0, 12)


def test_folders_say_what_they_know(tmp_path: Path) -> None:
    write_tone(tmp_path / "rain songs/02 - slow_rain.wav")
    (track,), _ = tracks_of(tmp_path)
    assert track.captions == ("rain songs slow rain",)
    assert track.split == "train"  # nothing is held out where all would be
    soundfile.write(tmp_path / "x.wav", tone(2.0), 44100)
    (tmp_path / "x.json").write_text('{"split": "tset"}')
    _, skipped = tracks_of(tmp_path)
    assert "tset" in skipped["x.wav"]


def test_what_is_no_data_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no folder"):
        tracks_of(tmp_path / "none")
    with pytest.raises(InputError, match="holds no music"):
        tracks_of(tmp_path)
    with pytest.raises(InputError, match="no layout 'tape'"):
        tracks_of(tmp_path, "tape")


def test_sounding_chords_are_what_sounds_in_two_beats() -> None:
    notes = np.array([[0, 2, 60, 90, 0], [0, 2, 64, 90, 0], [1.9, 2.0, 67, 90, 0]], np.float32)
    (chord,) = sounding_chords(notes, np.array([0.0, 1.0, 2.0]))
    assert chord[:2].tolist() == [0.0, 2.0]
    assert np.flatnonzero(chord[2:]).tolist() == [0, 4]  # the short G is passing
