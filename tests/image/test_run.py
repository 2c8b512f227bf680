from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from lmdm.errors import InputError
from lmdm.image.dataset import seeded
from lmdm.image.run import (
    Optimization,
    RunState,
    accelerator_for,
    as_plan,
    begin,
    train,
    update_average,
)

PLAN = Optimization(steps=12, batch=1, learning_rate=0.1, warmup_steps=3, ema=0.5)


class Fitting:
    """A line fitted to noise that follows from the step; `dies_at` raises in the middle of one."""

    def __init__(self, folder: Path, dies_at: int | None = None) -> None:
        torch.manual_seed(0)
        self.network, self.average = nn.Linear(3, 1), nn.Linear(3, 1)
        self.optimizer = torch.optim.Adam(self.network.parameters(), PLAN.learning_rate)
        networks = {"network": self.network, "average": self.average}
        self.state = RunState(folder, networks, {"network": self.optimizer})
        self.folder, self.dies_at = folder, dies_at

    def step(self, step: int) -> dict[str, float]:
        x = torch.randn(8, 3, generator=seeded(1, step))
        loss = (self.network(x) - x.sum(1, keepdim=True)).square().mean()
        self.optimizer.zero_grad()
        loss.backward()
        if step == self.dies_at:
            raise RuntimeError("killed")
        self.optimizer.step()
        update_average(self.average, self.network, step, PLAN.ema)
        return {"loss": loss.item()}

    def run(self) -> bool:
        self.folder.mkdir(exist_ok=True)
        accelerator = accelerator_for("cpu", "no")
        return train(
            PLAN, self.folder, accelerator, self.state, self.step, title="", checkpoint_every=5
        )


def test_a_run_that_died_goes_on_as_if_it_had_not(tmp_path: Path) -> None:
    whole = Fitting(tmp_path / "whole")
    assert whole.run()
    with pytest.raises(RuntimeError, match="killed"):
        Fitting(tmp_path / "broken", dies_at=8).run()
    again = Fitting(tmp_path / "broken")
    assert again.run()
    for one, two in zip(whole.average.parameters(), again.average.parameters(), strict=True):
        assert torch.equal(one, two)


def test_a_damaged_state_is_refused(tmp_path: Path) -> None:
    Fitting(tmp_path).run()
    path = tmp_path / "state.safetensors"
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(InputError, match=r"state\.safetensors"):
        Fitting(tmp_path).run()


def test_a_plan_is_kept_to(tmp_path: Path) -> None:
    accelerator = accelerator_for("cpu", "no")
    for _ in range(2):
        begin(tmp_path, as_plan(optimization=PLAN), accelerator)
    other = replace(PLAN, batch=2)
    with pytest.raises(InputError, match=r"optimization\.batch was 1, not 2"):
        begin(tmp_path, as_plan(optimization=other), accelerator)


def test_the_learning_rate_warms_up_and_falls() -> None:
    rates = [PLAN.rate(step) for step in range(12)]
    assert rates[:3] == sorted(rates[:3]) and rates[3:] == sorted(rates[3:], reverse=True)
    assert PLAN.rate(12) == pytest.approx(PLAN.learning_rate * PLAN.final_ratio)


def test_the_average_of_equal_weights_is_those_weights() -> None:
    slow, fast = nn.Linear(2, 2), nn.Linear(2, 2)
    for step in range(60):
        update_average(slow, fast, step, 0.5)
    assert torch.allclose(slow.weight, fast.weight, atol=1e-6)


@pytest.mark.parametrize("values", [{"precision": "int8"}, {"steps": 0}, {"ema": 1.0}])
def test_what_cannot_be_is_refused(values: dict[str, object]) -> None:
    with pytest.raises(InputError):
        replace(PLAN, **values)  # type: ignore[arg-type]


def test_a_device_that_is_not_there_is_told() -> None:
    if torch.cuda.is_available():
        pytest.skip("it is there")
    with pytest.raises(InputError, match="no cuda"):
        accelerator_for("cuda", "no")
