"""Training: a run that is stopped and gone on is the run that was not."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from lmdm.errors import InputError
from lmdm.video.fitting import FitConfig, fit

CONFIG = FitConfig(steps=7, rate=0.01, warm_up=2, keep_every=3)


class Network(nn.Module):
    """With a parameter that no loss reaches, and one that is not learnt."""

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.line = nn.Linear(width, 1)
        self.idle = nn.Linear(2, 2)
        self.fixed = nn.Parameter(torch.randn(width), requires_grad=False)


def fresh(seed: int, width: int = 4) -> Network:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Network(width)


def loss_of(network: nn.Module, step: int) -> torch.Tensor:
    x = torch.randn(8, 4, generator=torch.Generator().manual_seed(step))
    return (network.line(x * network.fixed) - x.sum(1, keepdim=True)).square().mean()


def test_a_stopped_run_goes_on_exactly(tmp_path: Path) -> None:
    whole, stopped, resumed = fresh(0), fresh(0), fresh(9)
    losses = list(fit(whole, loss_of, CONFIG, tmp_path / "whole.safetensors"))
    walk = fit(stopped, loss_of, CONFIG, tmp_path / "state.safetensors")
    first = [next(walk) for _ in range(4)]
    walk.close()  # as Ctrl-C does
    rest = list(fit(resumed, loss_of, CONFIG, tmp_path / "state.safetensors"))
    assert first + rest == losses and [step for step, _ in losses] == list(range(1, 8))
    for name, tensor in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], tensor), name
    assert not whole.training


def test_it_learns(tmp_path: Path) -> None:
    config = FitConfig(steps=400, rate=0.02, warm_up=10)
    losses = [loss for _, loss in fit(fresh(0), loss_of, config, tmp_path / "state.safetensors")]
    assert sum(losses[-20:]) < 0.05 * sum(losses[:20])


def test_foreign_and_damaged_states_are_refused(tmp_path: Path) -> None:
    state = tmp_path / "state.safetensors"
    list(fit(fresh(0), loss_of, CONFIG, state))
    with pytest.raises(InputError, match="another network"):
        list(fit(fresh(0, width=5), loss_of, CONFIG, state))
    with pytest.raises(InputError, match="more than"):
        list(fit(fresh(0), loss_of, FitConfig(steps=3), state))
    state.write_bytes(b"no safetensors")
    with pytest.raises(InputError, match="remove it"):
        list(fit(fresh(0), loss_of, CONFIG, state))
