from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from lmdm.dit.rotary import rotate
from lmdm.errors import InputError
from lmdm.image.generator import (
    dimension_shift,
    generate_latents,
    shifted,
    starting_noise,
    velocity_loss,
)
from lmdm.image.joint_dit import JointDiT, JointDiTConfig, axial_rotation

CONFIG = JointDiTConfig(
    dim=16, depth=2, heads=2, head_dim=24, head_depth=1, head_heads=2, classes=3
)


def dit(queries: int = 2) -> JointDiT:
    """With every zero-initialised weight made alive."""
    torch.manual_seed(0)
    network = JointDiT(CONFIG, 6, 3, queries)
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.2)
    return network


def test_the_shift_of_the_paper() -> None:
    assert dimension_shift(256, 768) == pytest.approx(6.93, abs=0.005)
    assert dimension_shift(264, 768) == pytest.approx(7.04, abs=0.005)


def test_a_shift_keeps_the_ends_and_adds_its_logarithm_to_the_logit() -> None:
    t = torch.linspace(0, 1, 11, dtype=torch.float64)
    moved = shifted(t, 6.93)
    assert moved[0] == 0 and moved[-1] == 1
    added = torch.logit(moved[1:-1]) - torch.logit(t[1:-1])
    assert added.tolist() == pytest.approx([math.log(6.93)] * 9)


class Told(nn.Module):
    """Gives a fixed velocity for every token and remembers what it was asked."""

    def __init__(self, value: Tensor) -> None:
        super().__init__()
        self.value = value

    def forward(self, x: Tensor, t: Tensor, labels: Tensor) -> Tensor:
        self.x, self.t, self.labels = x, t, labels
        return self.value.expand_as(x)


def test_the_loss_is_the_velocitys_error_with_the_queries_weighed() -> None:
    x = torch.zeros(4000, 5, 3)  # so v = eps: an error of (c - eps)^2, 1 + c^2 in the mean
    wrong = torch.zeros(5, 1)
    wrong[3:] = 2.0  # the two queries' error is 1 + 4
    network = Told(wrong)
    labels = torch.zeros(4000, dtype=torch.long)
    for weight, expected in ((1.0, (3 * 1 + 2 * 5) / 5), (0.0, 1.0), (3.0, (3 + 6 * 5) / 9)):
        generator = torch.Generator().manual_seed(0)
        loss = velocity_loss(network, x, labels, 2.0, 3, weight, 7, 0.25, generator)
        assert loss.item() == pytest.approx(expected, rel=0.03)
    assert network.t.shape == (4000,)  # one time for both groups
    assert (network.labels == 7).float().mean().item() == pytest.approx(0.25, abs=0.03)
    median = torch.logit(network.t).median().item()
    assert median == pytest.approx(math.log(2), abs=0.1)


def test_sampling_follows_a_straight_path_to_its_data() -> None:
    data = torch.randn(1, 5, 3)

    class ToData(Told):
        no_class = 0

        def forward(self, x: Tensor, t: Tensor, labels: Tensor) -> Tensor:
            return (x - data) / t.view(-1, 1, 1)

    noise = torch.randn(2, 5, 3)
    network = ToData(data)
    labels = torch.zeros(2, dtype=torch.long)
    made = generate_latents(network, noise, labels, 7, 3.0)  # type: ignore[arg-type]
    assert torch.allclose(made, data.expand_as(made), atol=1e-5)


def test_guidance_steers_away_from_the_guide() -> None:
    network, guide = dit(), dit()
    with torch.no_grad():
        guide.to_velocity.bias.add_(0.3)
    noise, labels = torch.randn(2, 11, 6), torch.tensor([0, 1])
    plain = generate_latents(network, noise, labels, 1, 1.0)
    weaker = generate_latents(guide, noise, labels, 1, 1.0)
    steered = generate_latents(network, noise, labels, 1, 1.0, 1.5, guide)
    assert torch.allclose(steered, weaker + 1.5 * (plain - weaker), atol=1e-5)
    classless = generate_latents(network, noise, torch.full_like(labels, network.no_class), 1, 1.0)
    free = generate_latents(network, noise, labels, 1, 1.0, 1.5)
    assert torch.allclose(free, classless + 1.5 * (plain - classless), atol=1e-5)


def test_noise_of_a_picture_is_its_own_whatever_the_batch() -> None:
    network = dit()
    whole = starting_noise(network, 5, 0, 6)
    assert torch.equal(starting_noise(network, 5, 4, 2), whole[4:])
    assert not torch.equal(whole[0], whole[1])


def test_patches_turn_by_where_they_are_and_queries_do_not() -> None:
    rotation = axial_rotation(4, 3, 16)
    vector = torch.randn(16)
    turned = rotate(vector.expand(19, 16), rotation)
    assert torch.allclose(turned[16:], vector.expand(3, 16))
    grid = turned[:16].view(4, 4, 16)
    across = (grid[:, 1:] * grid[:, :-1]).sum(-1)  # depends on the distance alone
    down = (grid[1:] * grid[:-1]).sum(-1)
    assert torch.allclose(across, across[0, 0].expand_as(across), atol=1e-4)
    assert torch.allclose(down, down[0, 0].expand_as(down), atol=1e-4)
    assert not torch.allclose(grid[0, 1], grid[1, 0])


def test_every_token_hears_every_other_and_each_condition() -> None:
    network = dit()
    x, t, labels = torch.randn(1, 11, 6), torch.tensor([0.4]), torch.tensor([1])
    found = network(x, t, labels)
    for token in (0, 10):
        other = x.clone()
        other[:, token] += 1
        changed = (network(other, t, labels) - found).abs().sum(-1)[0]
        assert (changed > 1e-6).all()
    assert not torch.allclose(network(x, t + 0.3, labels), found)
    assert not torch.allclose(network(x, t, labels + 1), found)
    swapped = x.clone()
    swapped[:, [9, 10]] = x[:, [10, 9]]
    assert not torch.allclose(network(swapped, t, labels)[:, [10, 9]], found[:, [9, 10]])


def test_a_new_network_says_zero() -> None:
    network = JointDiT(CONFIG, 6, 3, 2)
    found = network(torch.randn(2, 11, 6), torch.rand(2), torch.zeros(2, dtype=torch.long))
    assert torch.equal(found, torch.zeros_like(found))


def test_a_plain_rae_has_no_slots() -> None:
    network = dit(queries=0)
    assert network.slots is None
    assert network(torch.randn(1, 9, 6), torch.rand(1), torch.tensor([0])).shape == (1, 9, 6)


def test_heads_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InputError, match="multiple"):
        JointDiTConfig(dim=18, heads=3)
