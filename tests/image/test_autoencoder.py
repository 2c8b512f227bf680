from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from lmdm.errors import InputError
from lmdm.image.autoencoder import (
    AutoencoderConfig,
    Latents,
    RepresentationAutoencoder,
    encode,
    taps_for,
    with_noise,
)
from lmdm.image.backbones.protocol import Features, VisionBackbone
from lmdm.image.backbones.small_vit import SmallViTBackbone
from lmdm.image.layers import patchify, sincos_positions, unpatchify
from lmdm.image.metrics import psnr
from lmdm.image.probes import probed
from lmdm.image.run import Optimization, accelerator_for
from lmdm.image.stage1 import Stage1, fit_autoencoder

CONFIG = AutoencoderConfig(
    backbone_size=32, resolution=32, queries=3, taps=(0, 2), decoder_dim=16, decoder_depth=2,
    decoder_heads=2,
)  # fmt: skip


@given(st.integers(1, 5), st.integers(1, 4))
def test_patches_go_back_where_they_were(grid: int, patch: int) -> None:
    images = torch.rand(2, 3, grid * patch, grid * patch)
    patches = patchify(images, patch)
    assert torch.equal(unpatchify(patches, patch), images)
    corner = images[:, :, :patch, :patch].reshape(2, -1)
    assert torch.equal(patches[:, 0], corner)


def test_positions_tell_every_place_apart() -> None:
    table = sincos_positions(6, 26)
    assert table.shape == (36, 26)
    assert torch.cdist(table, table).fill_diagonal_(1).min() > 0.1


def test_patch_tokens_are_the_same_bits_with_and_without_queries(vit: SmallViTBackbone) -> None:
    images = torch.rand(2, 3, 32, 32)
    decq = RepresentationAutoencoder(CONFIG, vit)
    rae = RepresentationAutoencoder(replace(CONFIG, queries=0), vit)
    one, two = encode(decq, vit, images), encode(rae, vit, images)
    assert torch.equal(one.z, two.z) and torch.equal(one.z, vit.features(images).tokens)
    assert two.q is None and one.q is not None and one.q.shape == (2, 3, vit.dim)
    assert decq.decode(one).shape == rae.decode(two).shape == images.shape


def test_the_backbone_is_no_part_of_what_is_trained(vit: SmallViTBackbone) -> None:
    before = {name: value.clone() for name, value in vit.vit.state_dict().items()}
    network = RepresentationAutoencoder(CONFIG, vit)
    names = {name.partition(".")[0] for name, _ in network.named_parameters()}
    assert names == {"condenser", "decoder"}
    optimizer = torch.optim.Adam(network.parameters(), 0.1)
    features = vit.features(torch.rand(2, 3, 32, 32), network.backbone_taps)
    network(features, 0.5, 0.5, torch.Generator().manual_seed(0)).square().sum().backward()
    optimizer.step()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())
    assert all(torch.equal(before[name], value) for name, value in vit.vit.state_dict().items())


@pytest.mark.parametrize(
    ("read", "taps"), [("intermediate", (0, 2)), ("last-layer", (4, 4)), ("nothing", ())]
)
def test_what_the_queries_read(vit: SmallViTBackbone, read: str, taps: tuple[int, ...]) -> None:
    network = RepresentationAutoencoder(replace(CONFIG, read=read), vit)
    assert network.backbone_taps == taps
    latents = encode(network, vit, torch.rand(2, 3, 32, 32))
    assert latents.q is not None
    assert torch.equal(latents.q[0], latents.q[1]) == (read == "nothing")


def test_the_last_layer_control_has_as_many_parameters(vit: SmallViTBackbone) -> None:
    sizes = {
        sum(p.numel() for p in RepresentationAutoencoder(config, vit).parameters())
        for config in (CONFIG, replace(CONFIG, read="last-layer"))
    }
    assert len(sizes) == 1


def test_noise_has_its_own_level_in_each_picture() -> None:
    """Variance given sigma is sigma^2; over sigma ~ U(0, tau), its mean is tau^2 / 3."""
    noise = with_noise(torch.zeros(4000, 20, 5), 0.6, torch.Generator().manual_seed(0))
    levels = noise.flatten(1).std(1)
    assert levels.max() < 0.6 * 1.3 and levels.min() < 0.02
    assert noise.square().mean() == pytest.approx(0.6**2 / 3, rel=0.05)
    tokens = torch.randn(2, 3, 4)
    assert with_noise(tokens, 0.0, torch.Generator()) is tokens


def test_taps_are_quarters_of_the_depth() -> None:
    assert taps_for(12) == [0, 3, 6, 9] and taps_for(6) == [0, 1, 3, 4] and taps_for(1) == [0]


@pytest.mark.parametrize(
    "values",
    [
        {"read": "everything"}, {"queries": -1}, {"taps": ()}, {"taps": (2, 0)}, {"taps": (1, 1)},
        {"decoder_dim": 10, "decoder_heads": 3},
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(values: dict[str, object]) -> None:
    with pytest.raises(InputError):
        replace(CONFIG, **values)  # type: ignore[arg-type]


def test_a_resolution_that_the_grid_does_not_divide_is_refused(vit: SmallViTBackbone) -> None:
    with pytest.raises(InputError, match="30"):
        RepresentationAutoencoder(replace(CONFIG, resolution=30), vit)


def fitted(
    folder: Path, grey: VisionBackbone, images: Tensor, config: AutoencoderConfig
) -> RepresentationAutoencoder:
    """A short stage 1 on all pictures at every step."""

    def batches(step: int) -> tuple[Tensor, Features]:
        rows = np.random.default_rng(step).choice(len(images), 16)
        return images[rows], grey.features(images[rows], config.read_taps(grey.depth))

    plan = Optimization(steps=150, batch=16, learning_rate=4e-3, warmup_steps=10, ema=0.9)
    accelerator = accelerator_for("cpu", "no")
    fit_autoencoder(
        folder, config, Stage1(0.1, 0.1), plan, grey, batches, accelerator, checkpoint_every=1000
    )
    from lmdm.image.model_folder import load_autoencoder

    return load_autoencoder(folder, grey)[0]


def test_queries_bring_back_what_the_last_layer_dropped(
    tmp_path: Path, grey: VisionBackbone
) -> None:
    """The claim in small: where they read, not that they are there, makes the difference."""
    numbers = torch.Generator().manual_seed(3)
    tint = torch.rand(80, 3, 1, 1, generator=numbers)
    images = (0.3 * torch.rand(80, 1, 16, 16, generator=numbers) + 0.7 * tint).clamp(0, 1)
    train, test = images[:64], images[64:]
    base = AutoencoderConfig(
        backbone="grey", backbone_size=16, backbone_fingerprint="grey", resolution=16, queries=2,
        taps=(0, 1), decoder_dim=32, decoder_depth=2, decoder_heads=2,
    )  # fmt: skip
    configs = {
        "rae": replace(base, queries=0),
        "decq": base,
        "last-layer": replace(base, read="last-layer"),
    }
    likeness: dict[str, float] = {}
    for name, config in configs.items():
        network = fitted(tmp_path / name, grey, train, config)
        latents = encode(network, grey, test)
        likeness[name] = float(psnr(network.decode(latents), test).mean())
        if name == "decq":
            assert latents.q is not None
            wrong = network.decode(Latents(latents.z, probed(latents.q, "shuffle")))
            likeness["shuffled"] = float(psnr(wrong, test).mean())
    assert likeness["decq"] > likeness["rae"] + 2
    assert likeness["last-layer"] < likeness["rae"] + 1
    assert likeness["shuffled"] < likeness["decq"] - 2
