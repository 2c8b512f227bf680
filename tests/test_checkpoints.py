"""Model folders: what is saved is what loads, and everything else is refused in one sentence."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from lmdm import checkpoints, weights
from lmdm.codec.spectral import SpectralCodec, SpectralCodecConfig
from lmdm.dit.config import DiTConfig
from lmdm.dit.model import DiT
from lmdm.errors import InputError
from lmdm.stream.config import StreamConfig

CONTROLS = ("chord", "drums")


@pytest.fixture(scope="module")
def networks() -> tuple[DiT, SpectralCodec]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        dit = DiT(
            DiTConfig(dim=64, depth=2, heads=2, text_dim=384, global_dim=0, local_channels=15)
        )
        codec = SpectralCodec(
            SpectralCodecConfig(
                encoder_dim=16,
                encoder_depth=1,
                decoder_dim=16,
                decoder_depth=1,
                frame_dim=16,
                frame_depth=1,
            )
        )
    return dit.eval(), codec.eval()


@pytest.fixture
def folder(tmp_path: Path, networks: tuple[DiT, SpectralCodec]) -> Path:
    dit, codec = networks
    checkpoints.save(
        tmp_path / "small",
        dit=dit,
        codec=codec,
        stream_config=StreamConfig(),
        controls=CONTROLS,
        card="# small\n",
    )
    return tmp_path / "small"


def edit_config(folder: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    config = json.loads((folder / "config.json").read_text())
    edit(config)
    (folder / "config.json").write_text(json.dumps(config))


def edit_tensors(path: Path, edit: Callable[[dict[str, torch.Tensor]], object]) -> None:
    tensors = load_file(path)
    edit(tensors)
    save_file(tensors, path)


# --- what is saved loads -------------------------------------------------------------------------


def test_a_saved_model_loads_as_it_was(folder: Path, networks: tuple[DiT, SpectralCodec]) -> None:
    model = checkpoints.load(folder)
    for loaded, saved in zip((model.dit, model.codec), networks, strict=True):
        assert loaded.config == saved.config
        assert not loaded.training
        for name, tensor in saved.state_dict().items():
            found = loaded.state_dict()[name]
            assert found.dtype == tensor.dtype
            torch.testing.assert_close(found, tensor, rtol=1e-3, atol=1e-6, msg=name)
    assert model.name == "small"
    assert model.stream_config == StreamConfig()
    assert model.conditioning is not None
    assert model.conditioning.names == CONTROLS
    assert model.text_encoder is not None
    assert model.text_encoder.encode("piano").shape == (1, 384)


def test_fixed_buffers_are_whole(folder: Path, networks: tuple[DiT, SpectralCodec]) -> None:
    """What the weight file does not hold (bands, windows) is there after loading."""
    codec = checkpoints.load(folder).codec
    for (name, found), (_, made) in zip(
        codec.named_buffers(), networks[1].named_buffers(), strict=True
    ):
        torch.testing.assert_close(found, made, msg=name)


def test_weights_are_16_bit_on_disk_and_exact_without_half(
    tmp_path: Path, networks: tuple[DiT, SpectralCodec]
) -> None:
    dit = networks[0]
    weights.save_module(dit, tmp_path / "half.safetensors", half=True)
    stored = weights.read_header(tmp_path / "half.safetensors")
    assert {each.dtype for each in stored.values()} == {"F16"}
    weights.save_module(dit, tmp_path / "full.safetensors", half=False)
    again = DiT(dit.config)
    weights.load_into(again, tmp_path / "full.safetensors")
    for name, tensor in dit.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], tensor, rtol=0, atol=0)


def test_values_too_large_for_16_bits_keep_32(tmp_path: Path) -> None:
    layer = torch.nn.Linear(2, 2)
    with torch.no_grad():
        layer.weight.fill_(1e6)
    weights.save_module(layer, tmp_path / "w.safetensors", half=True)
    weights.load_into(layer, tmp_path / "w.safetensors")
    assert (layer.weight == 1e6).all()


def test_loading_leaves_the_global_random_state(folder: Path) -> None:
    before = torch.get_rng_state()
    checkpoints.load(folder)
    assert torch.equal(before, torch.get_rng_state())


def test_the_hash_is_of_config_and_weights(folder: Path) -> None:
    first = checkpoints.load(folder).sha256
    assert checkpoints.load(folder).sha256 == first
    edit_tensors(folder / "dit.safetensors", lambda t: t["preprocess_conv.weight"].add_(1))
    second = checkpoints.load(folder).sha256
    edit_config(folder, lambda config: config.update(name="other"))
    assert len({first, second, checkpoints.load(folder).sha256}) == 3


def test_a_codec_loads_before_there_is_a_dit(
    tmp_path: Path, networks: tuple[DiT, SpectralCodec]
) -> None:
    checkpoints.save(
        tmp_path / "m", dit=None, codec=networks[1], stream_config=StreamConfig(), controls=()
    )
    codec, digest = checkpoints.load_codec(tmp_path / "m")
    assert codec.config == networks[1].config
    assert digest == weights.sha256(tmp_path / "m" / "codec.safetensors")
    with pytest.raises(InputError, match="has a codec but no dit yet"):
        checkpoints.load(tmp_path / "m")


def test_nothing_is_left_beside(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.md", "codec.safetensors", "config.json", "dit.safetensors", "tokenizer.json",
    ]  # fmt: skip


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def fail(part: Path) -> None:
        part.write_text("half of the n")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        weights.write_beside(path, fail)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


# --- what is refused -----------------------------------------------------------------------------


def refusal(path: str | Path) -> str:
    """The sentence with which a model is refused."""
    with pytest.raises(InputError) as refused:
        checkpoints.load(path)
    sentence = str(refused.value)
    assert "\n" not in sentence
    return sentence


def test_an_unknown_model_lists_the_known() -> None:
    assert "starter" in checkpoints.known_models()
    assert refusal("stater") == "there is no model 'stater': give a model folder, or one of starter"


@pytest.mark.parametrize("suffix", sorted(weights.PICKLES))
def test_pickles_are_refused_unread(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"model{suffix}"
    path.write_bytes(b"\x80\x04cos\nsystem\n")
    assert "save its weights as .safetensors" in refusal(path)


def test_a_file_or_an_empty_folder_is_no_model(folder: Path, tmp_path: Path) -> None:
    assert "give the model folder" in refusal(folder / "dit.safetensors")
    assert "it has no config.json" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("edit", "sentence"),
    [
        (lambda c: c.update(format="other"), 'does not say "format": "lmdm"'),
        (lambda c: c.update(version=99), "is of version 99; this program reads version 1"),
        (lambda c: c.update(extra=1), "unknown key 'extra'"),
        (lambda c: c.pop("stream"), "lacks its part 'stream'"),
        (lambda c: c["dit"].update(width=1), "dit config has unknown key 'width'"),
        (lambda c: c["dit"].update(dim="64"), "dit: dim is '64', which is no int"),
        (lambda c: c["dit"].update(dim=True), "dit: dim is True, which is no int"),
        (lambda c: c["dit"].update(dim=-64), "dit: dim is -64; it cannot be below 0"),
        (lambda c: c["dit"].update(heads=0), "dit: a size is 0"),
        (lambda c: c["dit"].update(dim=10**12), "dim is 1000000000000, which is more than"),
        (lambda c: c["dit"].update(depth=10**9), "depth is 1000000000, which is more than"),
        (lambda c: c["dit"].update(depth=3), "lacks the tensor 'transformer.layers.2"),
        (lambda c: c["dit"].update(depth=1), "has a tensor 'transformer.layers.1"),
        (lambda c: c["codec"].update(type="mp3"), "codec has type 'mp3'; the types are spectral"),
        (lambda c: c["codec"].update(kernel=7), "has shape"),
        (lambda c: c["stream"].update(speed=1), "unknown key 'speed'"),
        (lambda c: c["conditioning"].update(controls=["chord"]), "local channels 15"),
        (lambda c: c["conditioning"].update(controls=["mood"]), "no control 'mood'"),
        (lambda c: c["conditioning"].update(controls="chord"), "no list of controls"),
        (lambda c: c.update(text={"encoder": "t5"}), "text is {'encoder': 't5'}"),
    ],
)
def test_a_wrong_config_is_named(
    folder: Path, edit: Callable[[dict[str, Any]], object], sentence: str
) -> None:
    edit_config(folder, edit)
    assert sentence in refusal(folder)


def test_a_config_that_is_no_json(folder: Path) -> None:
    (folder / "config.json").write_text("{")
    assert "config.json cannot be read as JSON" in refusal(folder)


@pytest.mark.parametrize("name", checkpoints.WEIGHTS)
@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda data: b"", "is not a whole safetensors file"),
        (lambda data: data[:100], "is not a whole safetensors file"),
        (lambda data: data[:-100], "header promises"),
        (lambda data: data + b"more", "header promises"),
        (lambda data: struct.pack("<Q", 2**62) + data[8:], "header is to take 4611686018427387904"),
        (lambda data: data[:8] + b"x" * 50 + data[58:], "damaged safetensors header"),
        (lambda data: struct.pack("<Q", 2) + b"[]" + data, "damaged safetensors header"),
        (lambda data: b"not weights at all", "is not a whole safetensors file"),
    ],
)
def test_damaged_weights_are_named(
    folder: Path, name: str, damage: Callable[[bytes], bytes], sentence: str
) -> None:
    path = folder / name
    path.write_bytes(damage(path.read_bytes()))
    assert sentence in refusal(folder)
    assert name in refusal(folder)


def test_a_header_whose_sizes_disagree_is_damaged(folder: Path) -> None:
    """A shape of exabytes is refused from the header; nothing is allocated for it."""
    header = {"w": {"dtype": "F32", "shape": [2**40, 2**20], "data_offsets": [0, 4]}}
    text = json.dumps(header).encode()
    data = struct.pack("<Q", len(text)) + text + bytes(4)
    (folder / "dit.safetensors").write_bytes(data)
    assert "damaged safetensors header" in refusal(folder)


def test_missing_weights_and_tokenizer_are_named(folder: Path) -> None:
    (folder / "dit.safetensors").rename(folder / "elsewhere")
    assert "dit.safetensors cannot be read: No such file" in refusal(folder)
    (folder / "elsewhere").rename(folder / "dit.safetensors")
    (folder / "tokenizer.json").unlink()
    assert "tokenizer.json is missing" in refusal(folder)


def test_wrong_tensors_are_named(folder: Path) -> None:
    path = folder / "dit.safetensors"
    whole = path.read_bytes()
    for edit, sentence in (
        (lambda t: t.pop("preprocess_conv.weight"), "lacks the tensor 'preprocess_conv.weight'"),
        (lambda t: t.update(other=torch.zeros(1)), "has a tensor 'other'"),
        (
            lambda t: t.update({"preprocess_conv.weight": torch.zeros(3)}),
            "'preprocess_conv.weight' has shape [3], but config.json asks for [64, 64, 1]",
        ),
        (
            lambda t: t["preprocess_conv.weight"].fill_(float("nan")),
            "'preprocess_conv.weight' holds values that are not finite",
        ),
    ):
        edit_tensors(path, edit)
        assert sentence in refusal(folder)
        path.write_bytes(whole)


def test_an_unusable_device_is_named(folder: Path) -> None:
    with pytest.raises(InputError, match="device 'gramophone' cannot be used"):
        checkpoints.load(folder, device="gramophone")
