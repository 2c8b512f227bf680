"""Whatever the bytes of a file are, its reader gives a value or one InputError, soon and in little
memory: never another exception. Valid files are cut, flipped, doubled and padded at random.
"""

from __future__ import annotations

import json
import resource
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import mido
import numpy as np
import pytest
import soundfile
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import save_file

from lmdm.checkpoints import STARTER, read_config
from lmdm.cli.long_form import read_sections
from lmdm.cli.midi.profile import read_profile
from lmdm.cli.options import read_scene
from lmdm.errors import InputError
from lmdm.formats.stable_audio import read_json
from lmdm.image.folder import BadImage, read_image
from lmdm.live import autosave
from lmdm.live.autosave import Saved
from lmdm.live.clock import MusicalClock
from lmdm.live.controls import Controls
from lmdm.live.midi_file import read_score
from lmdm.live.scenes import SceneBank
from lmdm.live.sound_file import read_sound
from lmdm.live.take import read_take
from lmdm.safety.memorization.light import Light, Threshold, UpdateWitness
from lmdm.safety.memorization.passages import Passages
from lmdm.safety.memorization.region import Region
from lmdm.safety.memorization.runs import read_prompts
from lmdm.safety.piu.identities import load_identities, read_embeddings
from lmdm.video.movie import read_video, write_video
from lmdm.weights import read_header
from training.data.shards import read_manifest, read_shard, write_shard
from training.recipes.starter.musicxml import read_mxl

REFUSALS = (InputError, BadImage)  # a folder's bad image is listed, and the others are read
MOST_MEMORY = 512 * 1024  # KiB that reading one small file may add to the process


@dataclass(frozen=True)
class Reader:
    """A reader, the name its file must have, and how to make a valid one."""

    read: Callable[[Path], Any]
    name: str
    make: Callable[[Path], object]


def _sound(path: Path) -> None:
    soundfile.write(path, np.sin(np.arange(4000) / 20)[:, None].repeat(2, 1) * 0.1, 44100)


def _score(path: Path) -> None:
    file = mido.MidiFile()
    track = mido.MidiTrack()
    track.append(mido.MetaMessage("set_tempo", tempo=500_000))
    for pitch in (60, 64, 67):
        track.append(mido.Message("note_on", note=pitch, velocity=90, time=10))
        track.append(mido.Message("note_off", note=pitch, time=200))
    file.tracks.append(track)
    file.save(path)


def _take(path: Path) -> None:
    header = {
        "lmdm_take": 1, "seed": 0, "model": "starter", "model_sha256": "0" * 64,
        "block_frames": 4, "versions": {}, "settings": {"prompts": [["piano", 1.0]]},
    }  # fmt: skip
    lines = [
        header,
        {"sample": 0, "kind": "begin"},
        {"sample": 8192, "kind": "note_on", "pitch": 60, "velocity": 90},
        {"kind": "end", "samples": 44100},
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def _session(path: Path) -> None:
    state = {
        "controls": Controls().to_dict(), "clock": MusicalClock.at_tempo(96.0).to_dict(),
        "beat": 7.5, "blocks": 3,
    }  # fmt: skip
    Saved("starter", "0" * 64, state, np.ones((4, 8), np.float32), 0.0, False).write(path)


def _kept(path: Path) -> Saved:
    found = autosave.read(path)
    if found is None:  # at the first start of all there is none, which is no mistake
        raise InputError("there is no session")
    return found


def _film(path: Path) -> None:
    write_video(path, torch.linspace(-1, 1, 3 * 3 * 16 * 16).reshape(3, 3, 16, 16), 10.0, 1)


def _written_score(path: Path) -> None:
    note = "<note><pitch><step>C</step><octave>4</octave></pitch><duration>1</duration></note>"
    bar = f"<attributes><divisions>1</divisions></attributes>{note * 40}"
    part = f'<part id="P1"><measure number="1">{bar}</measure></part>'
    names = '<part-list><score-part id="P1"><part-name>Flute</part-name></score-part></part-list>'
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("score.xml", f"<score-partwise>{names}{part}</score-partwise>")


def _pieces(folder: Path) -> list[tuple[dict[str, Any], Path]]:
    tensors = folder / "a.tensors"
    save_file({"latents": torch.zeros(2, 3)}, tensors)
    return [({"key": "a", "frames": 3, "split": "train"}, tensors)]


def _manifest(path: Path) -> None:
    facts = {
        "format": "lmdm-latents", "version": 1, "sample_rate": 44100, "frame_samples": 2048,
        "shards": [{"file": "latents-000000.tar"}],
    }  # fmt: skip
    path.write_text(json.dumps(facts))


def _read_manifest(path: Path) -> None:
    """With the index that the good manifest names."""
    with tempfile.TemporaryDirectory() as folder:
        index = Path(folder) / "latents-000000.json"
        index.write_text('[{"key": "a", "frames": 3, "split": "train"}]')
        data = path.read_bytes() if path.is_file() else b""
        (Path(folder) / path.name).write_bytes(data)
        read_manifest(folder)


def _shard(path: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        write_shard(Path(folder), path.name, _pieces(Path(folder)))
        path.write_bytes((Path(folder) / path.name).read_bytes())


def _picture(path: Path) -> None:
    Image.fromarray(np.arange(300, dtype=np.uint8).reshape(10, 10, 3)).save(path)


def _region(path: Path) -> None:
    Region(torch.ones(3, 3).double(), torch.ones(3, 3).double(), {"steps": 3}, 9).save(path)


def _light(path: Path) -> None:
    region = Region(torch.ones(3, 3).double(), torch.ones(3, 3).double(), {"steps": 3}, 9)
    threshold = Threshold(1.0, 0.0, (0.0, 0.1), 2, 1.0)
    latents = torch.randn(4, 99, generator=torch.Generator().manual_seed(0))
    passages = Passages.of([("a", latents)])
    Light("ab", (UpdateWitness(region, threshold),), passages, threshold).save(path)


def _identities(path: Path) -> None:
    eye = torch.eye(4, dtype=torch.float64)
    save_file({"embeddings": eye, "labels": torch.arange(4), "centroids": eye.clone()}, path)


SCENE = 'prompts = ["felt piano:0.7", "choir:0.3"]\nguidance = 2.0\nbpm = 96\n'
PROFILE = '[[mapping]]\nsource = "cc:1:21"\ntarget = "set_guidance"\n'

READERS = {
    "weights": Reader(read_header, "x.safetensors", lambda p: save_file({"a": torch.ones(3)}, p)),
    "model config": Reader(
        lambda p: read_config(p.parent),
        "config.json",
        lambda p: p.write_bytes((STARTER / "config.json").read_bytes()),
    ),
    "foreign config": Reader(read_json, "model_config.json", lambda p: p.write_text('{"a": 1}')),
    "scene": Reader(read_scene, "scene.toml", lambda p: p.write_text(SCENE)),
    "MIDI profile": Reader(read_profile, "profile.toml", lambda p: p.write_text(PROFILE)),
    "MIDI file": Reader(read_score, "song.mid", _score),
    "WAV": Reader(read_sound, "sound.wav", _sound),
    "FLAC": Reader(read_sound, "sound.flac", _sound),
    "take": Reader(lambda p: read_take(p.parent), "log.jsonl", _take),
    "PNG": Reader(lambda p: read_image(p, 16), "picture.png", _picture),
    "JPEG": Reader(lambda p: read_image(p, 16), "picture.jpg", _picture),
    "WebP": Reader(lambda p: read_image(p, 16), "picture.webp", _picture),
    "GIF": Reader(read_video, "film.gif", _film),
    "MP4": Reader(read_video, "film.mp4", _film),
    "MusicXML": Reader(read_mxl, "score.mxl", _written_score),
    "manifest": Reader(_read_manifest, "manifest.json", _manifest),
    "shard": Reader(
        lambda p: list(read_shard(str(p.parent), p.name)), "latents-000000.tar", _shard
    ),
    "sections": Reader(
        read_sections,
        "sections.json",
        lambda p: p.write_text('[{"seconds": 0, "prompt": "felt piano:0.7, choir:0.3"}]'),
    ),
    "session": Reader(_kept, "session.json", _session),
    "scenes": Reader(
        SceneBank.read, "scenes.toml", lambda p: SceneBank({"verse": {"bpm": 96.0}}).write(p)
    ),
    "region": Reader(Region.load, "region.safetensors", _region),
    "memorization light": Reader(Light.load, "light.safetensors", _light),
    "identities": Reader(load_identities, "people.safetensors", _identities),
    "embeddings": Reader(read_embeddings, "e.npy", lambda p: np.save(p, np.eye(3))),
    "prompts": Reader(read_prompts, "prompts.txt", lambda p: p.write_text("a\nb\n")),
}


@cache
def good(name: str) -> bytes:
    """A good file of that kind."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / READERS[name].name
        READERS[name].make(path)
        READERS[name].read(path)
        return path.read_bytes()


@pytest.mark.parametrize("name", ["GIF", "PNG"])
def test_a_picture_that_declares_a_huge_size_is_refused_unread(name: str, tmp_path: Path) -> None:
    """A few bytes that would be unpacked to a quarter of a gigabyte."""
    path = tmp_path / f"bomb.{name.lower()}"
    Image.new("P", (1, 1)).save(path)
    data = bytearray(path.read_bytes())
    place, sides = (6, struct.pack("<HH", 9000, 9000)) if name == "GIF" else (
        16, struct.pack(">II", 9000, 9000)
    )  # fmt: skip
    data[place : place + len(sides)] = sides
    if name == "PNG":
        data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    path.write_bytes(data)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InputError, match="wider than 4096 pixels"):
        read_video(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024


@pytest.mark.parametrize("name", ["../a.tar", "/etc/a.tar", "a.tar; touch b", ".hidden", ""])
def test_a_manifest_names_no_path_and_no_command(name: str, tmp_path: Path) -> None:
    """A shard's name may become part of a path, an address or, with `pipe:`, of a command."""
    facts = {
        "format": "lmdm-latents", "version": 1, "sample_rate": 44100, "frame_samples": 2048,
        "shards": [{"file": name}],
    }  # fmt: skip
    (tmp_path / "manifest.json").write_text(json.dumps(facts))
    with pytest.raises(InputError, match="no plain name"):
        read_manifest(f"pipe:cat {tmp_path}/{{}}")


@st.composite
def damage(draw: st.DrawFn) -> Callable[[bytes], bytes]:
    """A function from the bytes of a good file to those of a bad one."""
    kind = draw(st.sampled_from(["cut", "flip", "insert", "repeat", "number", "any"]))
    place, count = draw(st.floats(0, 1)), draw(st.integers(1, 8))
    noise = draw(st.binary(min_size=count, max_size=64))
    huge = draw(st.sampled_from([0, 1, 0x7F, 0xFF, 2**31 - 1, 2**32 - 1]))

    def damaged(good: bytes) -> bytes:
        at = int(place * len(good))
        if kind == "cut":
            return good[:at]
        if kind == "flip":
            return good[:at] + noise + good[at + len(noise) :]
        if kind == "insert":
            return good[:at] + noise + good[at:]
        if kind == "repeat":
            return good[:at] + good[at:] * min(count, 3)
        if kind == "number":
            return good[:at] + struct.pack("<I", huge) + good[at + 4 :]
        return noise

    return damaged


@pytest.mark.parametrize("name", READERS)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(damaged=damage())
def test_a_damaged_file_is_read_or_refused(
    name: str, damaged: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    reader = READERS[name]
    path = tmp_path / reader.name
    path.write_bytes(damaged(good(name)))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    said = "read"
    try:
        reader.read(path)
    except REFUSALS as refused:
        said = str(refused).strip()
    assert said and "\n" not in said
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MOST_MEMORY


@pytest.mark.parametrize("name", READERS)
def test_what_is_not_there_or_a_folder_is_refused(name: str, tmp_path: Path) -> None:
    reader = READERS[name]
    with pytest.raises(REFUSALS):
        reader.read(tmp_path / "nowhere" / reader.name)
    (tmp_path / reader.name).mkdir()
    with pytest.raises(REFUSALS):
        reader.read(tmp_path / reader.name)
