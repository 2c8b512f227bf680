from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
import torch

from lmdm.image.backbones.small_vit import SmallViTBackbone
from lmdm.image.losses import (
    Discriminator,
    PerceptualDistance,
    adaptive_weight,
    discriminator_hinge,
)
from lmdm.image.metrics import frechet_distance, likeness, linear_probe, psnr


def test_psnr_is_of_clamped_values_and_of_each_picture() -> None:
    images = torch.full((2, 3, 8, 8), 0.5)
    made = images.clone()
    made[0] += 0.1
    made[1] = 7.0  # clamped to 1
    assert psnr(made, images).tolist() == pytest.approx([20.0, 6.0206], abs=1e-3)


def test_the_frechet_distance_of_gaussians() -> None:
    numbers = np.random.default_rng(0)
    one = numbers.normal(size=(400, 5)) @ numbers.normal(size=(5, 5))
    two = numbers.normal(size=(300, 5)) @ numbers.normal(size=(5, 5)) + 1
    first, second = np.cov(one, rowvar=False), np.cov(two, rowvar=False)
    root = scipy.linalg.sqrtm(first @ second).real
    wanted = ((one.mean(0) - two.mean(0)) ** 2).sum() + np.trace(first + second - 2 * root)
    assert frechet_distance(one, two) == pytest.approx(wanted, rel=1e-6)
    assert frechet_distance(one, one) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(one, one + 2) == pytest.approx(5 * 4)


def test_the_frechet_distance_bears_fewer_pictures_than_channels() -> None:
    few = np.random.default_rng(0).normal(size=(4, 30))
    assert frechet_distance(few, few) == pytest.approx(0, abs=1e-4)


def test_likeness_falls_with_noise(vit: SmallViTBackbone) -> None:
    torch.manual_seed(0)
    images = torch.rand(3, 3, 32, 32)
    perceptual = PerceptualDistance(vit)
    figures = [
        likeness(images + level * torch.randn_like(images), images, perceptual)
        for level in (0.0, 0.1, 0.4)
    ]
    assert figures[0]["perceptual"].max() < 1e-6 and figures[0]["ssim"].min() > 0.999
    for name, sign in (("psnr", -1), ("ssim", -1), ("perceptual", 1)):
        means = [sign * entry[name].mean() for entry in figures]
        assert means == sorted(means) and len(figures[0][name]) == 3


def test_a_linear_probe_finds_what_is_there_and_nothing_else() -> None:
    numbers = np.random.default_rng(0)
    labels = np.arange(100) % 2
    noise = numbers.normal(size=(100, 4))
    assert linear_probe(noise + 5 * labels[:, None], labels).min() == 1.0
    assert linear_probe(noise, labels).mean() < 0.75
    with pytest.raises(ValueError, match="fewer"):
        linear_probe(noise[:6], labels[:6])


def test_the_hinge_of_a_discriminator() -> None:
    real, made = torch.tensor([2.0, 0.0]), torch.tensor([-3.0, 1.0])
    assert discriminator_hinge(real, made).item() == pytest.approx(0.5 * (0.5 + 1.0))


def test_the_adaptive_weight_is_a_ratio_of_gradients() -> None:
    layer = torch.ones(4, requires_grad=True)
    weight = adaptive_weight(6 * layer.sum(), 2 * layer.sum(), layer)
    assert weight.item() == pytest.approx(3, rel=1e-4)
    assert adaptive_weight(6 * layer.sum(), 0 * layer.sum(), layer).item() == 1e4


def test_a_discriminator_learns_heads_alone(vit: SmallViTBackbone) -> None:
    torch.manual_seed(0)
    critic = Discriminator(vit)
    real, made = torch.rand(8, 3, 32, 32), torch.rand(8, 3, 32, 32) ** 3
    optimizer = torch.optim.Adam(critic.parameters(), 1e-2)
    before = discriminator_hinge(critic(real), critic(made)).item()
    for _ in range(20):
        loss = discriminator_hinge(critic(real), critic(made))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.7 * before
    assert not any("vit" in name for name in critic.state_dict())
