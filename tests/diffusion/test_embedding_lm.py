"""The embedding-space language model: its schedule, its loss at the oracle, and what it learns."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from lmdm.diffusion.embedding_lm import EmbeddingLM, SquareRoot
from lmdm.diffusion.grid import uniform_t
from lmdm.diffusion.losses import stratified_times
from lmdm.diffusion.schedule import validate

K, LENGTH, WIDTH = 4, 5, 4
GRID = uniform_t(SquareRoot(), 12, first=0.0, last=0.999)


def embedding() -> Tensor:
    numbers = torch.Generator().manual_seed(0)
    return torch.linalg.qr(torch.randn(WIDTH, K, generator=numbers))[0].T.contiguous()


def sums(batch: int, seed: int) -> tuple[Tensor, Tensor]:
    """Prompts of two tokens a, b, and the response a + 1, b + 1, a + b (all mod K)."""
    numbers = torch.Generator().manual_seed(seed)
    a, b = torch.randint(0, K, (2, batch), generator=numbers)
    tokens = torch.stack([a, b, (a + 1) % K, (b + 1) % K, (a + b) % K], 1)
    given = torch.tensor([True, True, False, False, False]).expand(batch, LENGTH)
    return tokens, given


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        size = LENGTH * WIDTH
        self.layers = nn.Sequential(
            nn.Linear(size + 1, 128),
            nn.GELU(),
            nn.Linear(128, 128),
            nn.GELU(),
            nn.Linear(128, size),
        )

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        flat = torch.cat([x.flatten(1), t[:, None]], 1)
        return self.layers(flat).view_as(x)


@pytest.mark.parametrize("scale", [1.0, 0.35])
def test_the_schedule_is_the_square_root_one(scale: float) -> None:
    schedule = SquareRoot(scale)
    validate(schedule)
    t = torch.linspace(0.05, 0.95, 19, dtype=torch.float64)
    assert torch.allclose(torch.as_tensor(schedule.alpha(t)) ** 2, 1 - t.sqrt())
    h = 1e-5
    for value, slope in ((schedule.alpha, schedule.dalpha), (schedule.sigma, schedule.dsigma)):
        assert ((value(t + h) - value(t - h)) / (2 * h) - slope(t)).abs().max() < 1e-7
    assert schedule.prior_std == scale
    assert schedule.sigma(1.0) == scale


def test_a_perfect_prediction_costs_only_its_rounding() -> None:
    tokens, given = sums(16, 1)
    points = 40.0 * embedding()  # far apart, so that rounding is certain
    oracle = EmbeddingLM(lambda x, t: points[tokens], points)
    t = torch.full((16,), 0.5)
    assert float(oracle.loss(tokens, given, t, torch.Generator().manual_seed(0))) < 1e-6
    assert torch.equal(
        oracle.rollout(tokens, given, GRID, torch.Generator().manual_seed(0)), tokens
    )


def test_prompts_stay_clean_and_have_no_loss() -> None:
    """The network sees the prompt's own points, and errors there cost nothing."""
    tokens, given = sums(4, 2)
    points, seen = embedding(), []

    def network(x: Tensor, t: Tensor) -> Tensor:
        seen.append(x)
        return torch.where(given[..., None], 1e6 * x, points[tokens])

    model = EmbeddingLM(network, points)
    loss = model.loss(tokens, given, torch.full((4,), 0.9), torch.Generator().manual_seed(0))
    assert float(loss) < 1.0
    assert torch.equal(seen[0][:, :2], points[tokens][:, :2])
    out = model.rollout(tokens, given, GRID, torch.Generator().manual_seed(0), eta=1.0)
    assert torch.equal(out[:, :2], tokens[:, :2])


def test_it_learns_to_answer() -> None:
    """A small network learns three functions of the prompt, and the rollout says them."""
    torch.manual_seed(0)
    network, points = Small(), embedding()
    model = EmbeddingLM(network, points)
    optimiser = torch.optim.Adam(network.parameters(), 3e-3)
    numbers = torch.Generator().manual_seed(3)
    for step in range(300):
        tokens, given = sums(64, 100 + step)
        t = stratified_times(64, numbers).float()
        loss = model.loss(tokens, given, t, numbers, rounding=0.2)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    tokens, given = sums(256, 7)
    with torch.no_grad():
        answers = model.rollout(tokens * given, given, GRID, torch.Generator().manual_seed(1))
    right = (answers == tokens)[:, 2:].float().mean(0)
    assert right.min() > 0.9  # chance is 0.25
