from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from lmdm.errors import InputError
from lmdm.image.dataset import seeded
from lmdm.image.run import Optimization, accelerator_for, as_plan, begin, train

PLAN = Optimization(steps=12, batch=1, learning_rate=0.1, warmup_steps=3, ema=0.5)


def run(folder: Path, network: nn.Module, dies_at: int | None = None) -> bool:
    """A line fitted to noise that follows from the step; `dies_at` raises in the middle of one."""
    folder.mkdir(exist_ok=True)
    optimizer = torch.optim.Adam(network.parameters(), PLAN.learning_rate)

    def step_of(step: int) -> dict[str, float]:
        x = torch.randn(8, 3, generator=seeded(1, step))
        loss = (network(x) - x.sum(1, keepdim=True)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        if step == dies_at:
            raise RuntimeError("killed")
        optimizer.step()
        return {"loss": loss.item()}

    return train(
        PLAN, folder, accelerator_for("cpu", "no"), {"network": network}, {"network": optimizer},
        step_of, title="", checkpoint_every=5, at_checkpoint=lambda step: {"seen": step},
    )  # fmt: skip


def test_a_run_that_died_goes_on_as_if_it_had_not(tmp_path: Path) -> None:
    torch.manual_seed(0)
    whole = nn.Linear(3, 1)
    broken = copy.deepcopy(whole)
    assert run(tmp_path / "whole", whole)
    with pytest.raises(RuntimeError, match="killed"):
        run(tmp_path / "broken", broken, dies_at=8)
    again = nn.Linear(3, 1)
    assert run(tmp_path / "broken", again)
    assert torch.equal(whole.weight, again.weight) and torch.equal(whole.bias, again.bias)
    logs = [(tmp_path / name / "log.jsonl").read_text() for name in ("whole", "broken")]
    rows = [json.loads(line) for line in logs[0].splitlines()]
    assert [(row["step"], row["seen"]) for row in rows] == [(5, 5), (10, 10), (12, 12)]
    assert logs[0] == logs[1]


def test_a_plan_is_kept_to(tmp_path: Path) -> None:
    accelerator = accelerator_for("cpu", "no")
    for _ in range(2):
        begin(tmp_path, as_plan(optimization=PLAN), accelerator)
    other = replace(PLAN, batch=2)
    with pytest.raises(InputError, match=r"optimization\.batch was 1, not 2"):
        begin(tmp_path, as_plan(optimization=other), accelerator)


@pytest.mark.parametrize("values", [{"precision": "int8"}, {"steps": 0}, {"ema": 1.0}])
def test_what_cannot_be_is_refused(values: dict[str, object]) -> None:
    with pytest.raises(InputError):
        replace(PLAN, **values)  # type: ignore[arg-type]


def test_a_device_that_is_not_there_is_told() -> None:
    if torch.cuda.is_available():
        pytest.skip("it is there")
    with pytest.raises(InputError, match="no cuda"):
        accelerator_for("cuda", "no")
