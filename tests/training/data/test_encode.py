"""Encoding: every format, broken files listed, killed and resumed, the same whatever happened."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from lmdm.checkpoints import load_codec
from lmdm.errors import InputError
from tests.training.conftest import tone, write_tone
from training.data.encode import Encoding, encode
from training.data.shards import read_manifest, read_shard
from training.data.sound import encode_sound, read_sound


def content(out: Path) -> dict[str, dict[str, np.ndarray]]:
    manifest = read_manifest(out)
    shards = [shard["file"] for shard in manifest.facts["shards"]]
    return {f["key"]: a for name in shards for f, a in read_shard(str(out), name)}


def test_every_format_is_encoded_and_the_rest_is_listed(
    music: Path, tiny_model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    outcome = encode(music, out, Encoding(model=str(tiny_model), shard_pieces=2))
    assert outcome.encoded == 5
    assert set(outcome.skipped) == {"broken.wav", "blip.wav"}
    assert set(json.loads((out / "skipped.json").read_text())) == set(outcome.skipped)
    manifest = read_manifest(out)
    assert {entry.facts["name"] for entry in manifest.entries} == {
        "one.wav", "mono.wav", "album/two.flac", "album/three.ogg", "album/four.mp3",
    }  # fmt: skip
    one = next(entry for entry in manifest.entries if entry.facts["name"] == "one.wav")
    assert one.facts["captions"] == ["a low sine", "sine tone"]
    assert one.frames == int(4.0 * 44100) // 2048
    assert len(one.facts["sha256"]) == 64
    arrays = content(out)[one.key]
    assert arrays["latents"].shape == (64, one.frames)
    assert arrays["loudness"].shape == (one.frames,)
    again = encode(music, out, Encoding(model=str(tiny_model), shard_pieces=2))
    assert (again.encoded, again.kept) == (0, 5)


def test_a_piece_in_chunks_is_the_piece_in_one(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    codec = load_codec(tiny_model)[0]
    audio = tone(9.0)
    whole = encode_sound(codec, audio).astype(np.float32)
    monkeypatch.setattr("training.data.sound.CHUNK_FRAMES", 50)
    chunked = encode_sound(codec, audio).astype(np.float32)
    # Sixteen-bit latents: half a unit of rounding at the largest value.
    assert np.abs(whole - chunked).max() <= 2e-3 * np.abs(whole).max()


def test_new_music_is_added_and_another_codec_refused(
    music: Path, tiny_model: Path, tmp_path: Path
) -> None:
    plan = Encoding(model=str(tiny_model))
    encode(music, tmp_path / "out", plan)
    write_tone(music / "zlast.wav", 3.0, 660.0)
    more = encode(music, tmp_path / "out", plan)
    assert (more.encoded, more.kept, more.shards) == (1, 5, 2)
    with pytest.raises(InputError, match="another codec"):
        encode(music, tmp_path / "out", Encoding(model="starter"))


def test_killed_and_run_again_it_ends_the_same(tiny_model: Path, tmp_path: Path) -> None:
    music = tmp_path / "music"
    for index in range(12):
        write_tone(music / f"{index:02d}.wav", 6.0, 100.0 + 20 * index)
    (music / "05b.wav").write_bytes(b"no sound")
    program = (
        "import sys; from lmdm.cli.main import main; "
        f"sys.exit(main(['train', 'encode', {str(music)!r}, {str(tmp_path / 'cut')!r}, "
        f"'--model', {str(tiny_model)!r}, '--shard-pieces', '5', '--workers', '1']))"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    staged = tmp_path / "cut" / ".pieces"
    deadline = time.monotonic() + 60
    while not list(staged.glob("*.json")) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    plan = Encoding(model=str(tiny_model), shard_pieces=5)
    encode(music, tmp_path / "cut", plan)
    encode(music, tmp_path / "whole", plan)
    cut, whole = content(tmp_path / "cut"), content(tmp_path / "whole")
    assert cut.keys() == whole.keys()
    assert all(
        np.array_equal(cut[key][name], whole[key][name]) for key in whole for name in whole[key]
    )
    hashes = [
        [shard["sha256"] for shard in read_manifest(tmp_path / name).facts["shards"]]
        for name in ("cut", "whole")
    ]
    assert hashes[0] == hashes[1]
    assert not (tmp_path / "cut" / ".pieces").exists()


def test_a_file_that_is_cut_short_is_refused(tmp_path: Path) -> None:
    path = write_tone(tmp_path / "cut.flac", 5.0)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match=r"cut\.flac"):
        read_sound(path, 44100)


def test_samples_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    import soundfile

    sound = tone(2.0)
    sound[100] = np.nan
    soundfile.write(tmp_path / "nan.wav", sound, 44100, subtype="FLOAT")
    with pytest.raises(InputError, match="not finite"):
        read_sound(tmp_path / "nan.wav", 44100)


def test_resampled_sound_keeps_its_length(tmp_path: Path) -> None:
    path = write_tone(tmp_path / "a.wav", 3.0, rate=48000)
    assert read_sound(path, 44100).shape == (3 * 44100, 2)
    assert torch.from_numpy(read_sound(path, 44100)).isfinite().all()


def test_a_folder_of_broken_files_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "music").mkdir()
    (tmp_path / "music/a.wav").write_bytes(b"no sound")
    with pytest.raises(InputError, match=r"skipped\.json"):
        encode(tmp_path / "music", tmp_path / "out", Encoding(model=str(tiny_model)))
