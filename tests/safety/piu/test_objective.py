from __future__ import annotations

import pytest
import torch

from lmdm.safety.piu.objective import forget_conditions, forget_target, piu_loss


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_mixtures_are_unit_and_lie_in_the_cone_of_at_most_three(count: int) -> None:
    basis = torch.eye(8)[:count]
    made = forget_conditions(basis, 500, "dirichlet", generator())
    assert torch.allclose(made.norm(dim=1), torch.ones(500), atol=1e-6)
    assert bool((made >= 0).all())
    assert int((made > 0).sum(dim=1).max()) == min(count, 3)


def test_dirichlet_weights_have_the_flat_distributions_moments() -> None:
    """Dirichlet(1, 1, 1): E w = 1/3, E w² = 1/6; read off unnormalised directions."""
    made = forget_conditions(torch.eye(3), 40_000, "dirichlet", generator()).double()
    weights = made / made.sum(dim=1, keepdim=True)
    assert weights.mean(dim=0).tolist() == pytest.approx([1 / 3] * 3, abs=0.01)
    assert weights.square().mean(dim=0).tolist() == pytest.approx([1 / 6] * 3, abs=0.01)


def test_the_other_samplings() -> None:
    rows = torch.nn.functional.normalize(torch.randn(5, 4, generator=generator()), dim=1)
    one = forget_conditions(rows, 50, "individual", generator())
    assert all(any(torch.equal(each, row) for row in rows) for each in one)
    centre = forget_conditions(rows, 2, "centroid", generator())
    mean = torch.nn.functional.normalize(rows.mean(dim=0), dim=0)
    assert torch.allclose(centre, mean.expand(2, -1))


def test_the_target_is_the_anchor_pushed_away_from_the_forgotten() -> None:
    anchor, forget = torch.randn(2, 3, 4, generator=generator())
    assert torch.equal(forget_target(anchor, forget, 0.0), anchor)
    assert torch.allclose(forget_target(anchor, forget, 1.0), 2 * anchor - forget)


def test_the_loss_is_two_mean_squares() -> None:
    a, b, c, d = torch.randn(4, 3, 5, generator=generator())
    expected = (a - b).square().mean() + 10 * (c - d).square().mean()
    assert float(piu_loss(a, b, c, d, 10.0)) == pytest.approx(float(expected), rel=1e-6)
