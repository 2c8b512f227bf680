"""Training: a run that is stopped and gone on is the run that was not."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from lmdm.config import begin
from lmdm.errors import InputError
from lmdm.fitting import TrainingState, cosine_rate, fit, fit_network, update_average

STEPS = 7


class Network(nn.Module):
    """With a parameter that a late loss reaches, one that none does, and one that is not learnt."""

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.line = nn.Linear(width, 1)
        self.late, self.idle = nn.Linear(2, 2), nn.Linear(2, 2)
        self.fixed = nn.Parameter(torch.randn(width), requires_grad=False)

    def loss(self, step: int) -> Tensor:
        x = torch.randn(8, 4, generator=torch.Generator().manual_seed(step))
        loss = (self.line(x * self.fixed) - x.sum(1, keepdim=True)).square().mean()
        return loss + (self.late.weight.square().mean() if step >= 3 else 0.0)


def fresh(seed: int, width: int = 4) -> Network:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Network(width)


def run(network: Network, folder: Path, steps: int = STEPS, loss=None, **how) -> list[float]:
    """The losses of a run in a folder."""
    losses: list[float] = []
    learnt = [p for p in network.parameters() if p.requires_grad]
    fit_network(
        network,
        torch.optim.AdamW(learnt, betas=(0.9, 0.99)),
        loss or network.loss,
        folder / "state.safetensors",
        steps,
        average=0.9,
        clip=1.0,
        rate=lambda step: cosine_rate(step, steps, 0.02, warm_up=2, final=0.05),
        after=lambda _, figures: losses.append(figures["loss"]),
        quiet=True,
        **how,
    )
    return losses


def equal(one: nn.Module, other: nn.Module) -> bool:
    theirs = other.state_dict()
    return all(torch.equal(tensor, theirs[name]) for name, tensor in one.state_dict().items())


def test_a_run_that_time_stopped_goes_on_exactly(tmp_path: Path) -> None:
    """Stopped after every single step: moments come into being at different steps."""
    whole, resumed = fresh(0), fresh(0)
    losses = run(whole, tmp_path / "whole")
    first: list[float] = []
    for seed in range(1, 2 * STEPS):
        first += run(resumed, tmp_path / "part", seconds=1e-9)
        if len(first) == STEPS:
            break
        resumed = fresh(seed)
    assert first == losses and equal(whole, resumed)
    assert not whole.training


def test_ctrl_c_is_kept_but_not_half_a_step(tmp_path: Path) -> None:
    """Between loss and optimiser the state is that of the steps done; once it moves, of none."""
    whole = fresh(0)
    losses = run(whole, tmp_path / "whole")
    network = fresh(0)

    def interrupted(step: int) -> Tensor:
        if step == 4:
            raise KeyboardInterrupt
        return network.loss(step)

    with pytest.raises(KeyboardInterrupt):
        run(network, tmp_path / "part", loss=interrupted)
    resumed = fresh(9)
    assert run(resumed, tmp_path / "part") == losses[4:] and equal(whole, resumed)

    optimizer = torch.optim.SGD(network.parameters(), 1.0)
    state = TrainingState(tmp_path / "half" / "state.safetensors", {"n": network}, {"o": optimizer})

    def halfway(step: int) -> dict[str, float]:
        network.loss(step).backward()
        optimizer.step()
        if step == 3:
            raise KeyboardInterrupt
        return {}

    with pytest.raises(KeyboardInterrupt):
        fit(state, STEPS, halfway, keep_every=2, quiet=True)
    assert state.restore() == 2


def test_it_learns(tmp_path: Path) -> None:
    losses = run(fresh(0), tmp_path, 400)
    assert sum(losses[-20:]) < 0.05 * sum(losses[:20])


def test_what_cannot_be_gone_on_from_is_refused(tmp_path: Path) -> None:
    run(fresh(0), tmp_path)
    with pytest.raises(InputError, match="remove it"):
        run(fresh(0, width=5), tmp_path)
    with pytest.raises(InputError, match="more than"):
        run(fresh(0), tmp_path, 3)
    state = tmp_path / "state.safetensors"
    state.write_bytes(state.read_bytes()[:-10])
    with pytest.raises(InputError, match="remove it"):
        run(fresh(0), tmp_path)


def test_what_is_not_finite_is_never_kept(tmp_path: Path) -> None:
    network = fresh(0)
    with pytest.raises(InputError, match="loss is nan at step 5; lower the rate"):
        run(
            network, tmp_path, keep_every=2,
            loss=lambda step: network.loss(step) * (torch.nan if step == 5 else 1.0),
        )  # fmt: skip
    assert all(torch.isfinite(p).all() for p in network.parameters())
    again = fresh(1)
    assert len(run(again, tmp_path)) == STEPS - 4


def test_a_plan_is_kept_to(tmp_path: Path) -> None:
    for _ in range(2):
        begin(tmp_path / "plan.json", {"steps": 3, "taps": (1, 2)})
    with pytest.raises(InputError, match="steps was 3, not 4"):
        begin(tmp_path / "plan.json", {"steps": 4, "taps": (1, 2)})
    begin(tmp_path / "nested.json", {"model": {"width": 2, "depth": 1}})
    with pytest.raises(InputError, match=r"model\.depth was 1, not 3"):
        begin(tmp_path / "nested.json", {"model": {"width": 2, "depth": 3}})


def test_the_rate_warms_up_and_falls() -> None:
    rates = [cosine_rate(step, 12, 0.1, warm_up=3, final=0.1) for step in range(13)]
    assert rates[:3] == sorted(rates[:3]) and rates[3:] == sorted(rates[3:], reverse=True)
    assert rates[0] == pytest.approx(0.1 / 3, rel=0.01) and rates[12] == pytest.approx(0.01)


def test_the_average_of_equal_weights_is_those_weights() -> None:
    slow, fast = nn.Linear(2, 2), nn.Linear(2, 2)
    for step in range(60):
        update_average(slow, fast, step, 0.5)
    assert torch.allclose(slow.weight, fast.weight, atol=1e-6)
