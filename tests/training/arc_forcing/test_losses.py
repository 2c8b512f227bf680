"""The game's losses against closed forms; the derangement; the discriminator's sight."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.laws.network import LOCAL, TEXT, random, small_dit
from training.arc_forcing import losses
from training.arc_forcing.discriminator import ConvNeXtHead, Discriminator
from training.data.examples import Examples


def f(z: float) -> float:
    return math.log(1 + math.exp(z))


def test_losses_in_closed_form() -> None:
    real = torch.tensor([[1.0, -2.0], [0.5, 3.0]])
    fake = torch.tensor([[0.0, 1.0], [2.0, -1.0]])
    gaps = [1.0, -3.0, -1.5, 4.0]
    wanted = sum(f(-gap) for gap in gaps) / 4
    assert float(losses.relativistic_discriminator(real, fake)) == pytest.approx(wanted)
    assert float(losses.contrastive(real, fake)) == pytest.approx(wanted)
    wanted = sum(f(gap) for gap in gaps) / 4
    assert float(losses.relativistic_generator(real, fake)) == pytest.approx(wanted)
    assert float(losses.relativistic_discriminator(real, real)) == pytest.approx(math.log(2))


@given(count=st.integers(2, 40), seed=st.integers(0, 10_000))
def test_a_derangement_leaves_nothing_in_its_place(count: int, seed: int) -> None:
    drawn = losses.derangement(count, torch.Generator().manual_seed(seed))
    assert sorted(drawn.tolist()) == list(range(count))
    assert not (drawn == torch.arange(count)).any()


def test_derangements_are_uniform_and_one_row_has_none() -> None:
    generator = torch.Generator().manual_seed(0)
    seen = [tuple(losses.derangement(4, generator).tolist()) for _ in range(2700)]
    counts = {each: seen.count(each) for each in set(seen)}
    assert len(counts) == 9  # !4
    assert all(abs(count - 300) < 90 for count in counts.values())
    with pytest.raises(ValueError, match="derangement"):
        losses.derangement(1, generator)


def test_the_penalty_estimates_the_squared_gradient() -> None:
    weight = random(200, seed=1)
    generator = torch.Generator().manual_seed(2)
    at = random(4000, 200, seed=3)
    noise = torch.randn(at.shape, generator=generator, dtype=torch.float64)
    near = at + 0.05 * noise
    found = losses.gradient_penalty(at @ weight, near @ weight, 0.05)
    assert float(found) == pytest.approx(float(weight.square().sum()), rel=0.08)


@pytest.mark.parametrize("kind", ["logsnr-uniform", "logit-normal", "truncated-logit-normal"])
def test_noise_levels(kind: str) -> None:
    t = losses.noise_levels(kind, 20_000, torch.Generator().manual_seed(1))  # type: ignore[arg-type]
    assert t.min() >= 0.0
    assert t.max() <= 1.0
    logsnr = -torch.logit(t.double().clamp(1e-9, 1 - 1e-9))
    if kind == "logsnr-uniform":
        assert -6.01 < float(logsnr.min()) < -5.99
        assert 1.99 < float(logsnr.max()) < 2.01
        assert float(logsnr.mean()) == pytest.approx(-2.0, abs=0.05)
    if kind == "logit-normal":
        assert float(logsnr.std()) == pytest.approx(1.0, abs=0.03)
    if kind == "truncated-logit-normal":
        assert float(t.median()) == pytest.approx(0.54, abs=0.02)


def judge(context: int = 4, layer: int = 1) -> Discriminator:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        made = Discriminator(small_dit(), layer, context, head_dim=16)
    made.head.double()
    return made


def sequence(batch: int = 2, frames: int = 20) -> Examples:
    return Examples(
        random(batch, 6, frames, seed=1),
        random(batch, LOCAL, frames, seed=2),
        random(batch, 2, TEXT, seed=3),
    )


T = torch.tensor([0.4, 0.7], dtype=torch.float64)


def test_features_are_the_bidirectional_base_pass_up_to_the_layer() -> None:
    """Read off the plain forward pass by a hook."""
    discriminator, given_, noise = judge(layer=1), sequence(), random(2, 6, 20, seed=5)
    dit = discriminator.backbone
    plain = given_._replace(local=torch.zeros_like(given_.local))
    seen = []
    hook = dit.transformer.layers[1].register_forward_hook(lambda *a: seen.append(a[2][0]))
    noisy = (1 - T.view(-1, 1, 1)) * plain.latents + T.view(-1, 1, 1) * noise
    dit.velocity(noisy, T, plain.text)
    hook.remove()
    features = discriminator.features(plain, T, noise)
    assert (features - seen[0][:, 1 + 4 :].transpose(1, 2)).abs().max() < 1e-12


def test_every_frame_is_seen_by_every_patch_and_the_context_is_not_judged() -> None:
    discriminator, noise = judge(), random(2, 6, 20, seed=5)
    examples = sequence()
    features = discriminator.features(examples, T, noise)
    assert features.shape == (2, 64, 16)
    assert discriminator.head(features.float().double()).shape == (2, 4)
    changed = replace_frames(examples, 0)
    assert ((discriminator.features(changed, T, noise) - features).abs().amax(1) > 0).all()


def replace_frames(examples: Examples, frame: int) -> Examples:
    latents = examples.latents.clone()
    latents[..., frame] += 1.0
    return examples._replace(latents=latents)


def test_only_layers_that_are_read_have_gradients() -> None:
    discriminator = judge(layer=1)
    discriminator.backbone.requires_grad_(True)
    features = discriminator.features(sequence(), T, random(2, 6, 20, seed=5))
    discriminator.head(features).sum().backward()
    layers = discriminator.backbone.transformer.layers
    assert all(p.grad is not None for p in layers[1].parameters())
    assert all(p.grad is None for p in layers[2].parameters())


def test_the_head_gives_a_logit_for_every_four_frames() -> None:
    head = ConvNeXtHead(64, 16)
    assert head(torch.zeros(3, 64, 576)).shape == (3, 144)
    kept = [m for m in head.modules() if isinstance(m, torch.nn.Conv1d) and m.stride == (2,)]
    assert len(kept) == 2


def test_the_heads_last_two_biases_cancel_in_every_difference() -> None:
    """The game has no gradient for them (see CANCELLED in `test_engine.py`)."""
    head = ConvNeXtHead(12, 8).double()
    one, other = random(2, 4, 12, 30, seed=0)
    before = head(one) - head(other)
    with torch.no_grad():
        head.layers[8].contract.bias += 3.0
        head.layers[9].bias -= 2.0
    assert torch.allclose(head(one) - head(other), before, atol=1e-12)
    with torch.no_grad():
        head.layers[7].contract.bias += 3.0
    assert not torch.allclose(head(one) - head(other), before, atol=1e-4)
