"""What can be known from what: a world whose answer is a formula, and a perfect renderer."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from lmdm.video.bernini import known, vit
from lmdm.video.bernini.known import every_target, left_unknown, plan_is_read
from lmdm.video.bernini.rendering import Bernini
from lmdm.video.bernini.tasks import ATTRIBUTES, COUNTS
from lmdm.video.bernini.training import cases_of, collate

EVERYTHING = (*ATTRIBUTES, "place")


def test_the_best_guess_of_a_world_that_is_a_sum() -> None:
    """x = shape + place, independent: what is unknown is missed, by its own variance."""
    generator = torch.Generator().manual_seed(0)
    shape = torch.tensor([-3.0, -1.0, 1.0, 3.0]).view(4, 1, 1, 1, 1, 1, 1, 1, 1)
    place = torch.randn(1, 1, 4, 2, 400, 1, 1, 1, 1, generator=generator)
    world = (shape + place).expand(*COUNTS, 400, 1, 1, 1, 1)
    power = 5 + 1
    for unknown, missed in ((("shape",), 5), (("place",), 1), (("shape", "place"), 6)):
        assert left_unknown(world, unknown) == pytest.approx(missed / power, abs=0.02)
    assert left_unknown(world, EVERYTHING) == pytest.approx(1, abs=0.02)
    few = left_unknown(world[..., :3, :, :, :, :], ("place",))  # three draws tell it too
    assert few == pytest.approx(1 / power, abs=0.08)


class Oracle(nn.Module):
    """Knows the target of every plan; without one, or with another's, guesses the dark ground."""

    def __init__(self, plans: torch.Tensor, targets: torch.Tensor) -> None:
        super().__init__()
        self.plans, self.targets = plans, targets

    def forward(self, x, t, words, plan):
        clean = torch.zeros_like(x)
        if plan is not None and torch.equal(plan, self.plans):
            clean = self.targets
        return (x - clean) / t.view(-1, 1, 1, 1, 1)


def test_a_renderer_that_reads_its_plan_is_told_from_one_that_does_not(monkeypatch) -> None:
    monkeypatch.setattr(known, "every_target", lambda seed: every_target(seed, places=4))
    encoder = vit.load()
    batch = collate(cases_of("t2v", 8, np.random.default_rng((0, 3))))
    plans = encoder(batch.target)
    reads = plan_is_read(Bernini(encoder, None, Oracle(plans, batch.target)), 8)
    assert max(reads["rows"]["with its plan"].values()) < 1e-6
    assert min(reads["rows"]["without"].values()) == pytest.approx(1)
    assert not reads["falsified"]
    deaf = plan_is_read(Bernini(encoder, None, Oracle(plans + 1, batch.target)), 8)
    assert deaf["falsified"]
    least = list(deaf["best_guess_misses_at_t_1"].values())
    assert 0.03 < least[-1] < min(least[:-1]) < least[0] < 1
