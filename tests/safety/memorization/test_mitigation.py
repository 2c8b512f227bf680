"""The mitigation's contracts (dossier §4): what it must leave alone, and where it must arrive."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from lmdm.safety.memorization.mitigation import MILD, STRONG, UNLABELLED, Mitigation, guard
from lmdm.safety.memorization.region import Region

STEPS = 10
REGION = Region(
    torch.tensor([[4.0, 8.0, 8.0]]).repeat(STEPS, 1).double(),
    torch.tensor([[0.1, 0.2, 0.2]]).repeat(STEPS, 1).double(),
    {},
    100,
)


def batch(seed: int, update: float, denoised: float) -> tuple[torch.Tensor, ...]:
    """z, z', x̂0 of one sample with ‖z' − z‖ and ‖x̂0‖ as given."""
    generator = torch.Generator().manual_seed(seed)
    z, step, clean = (torch.randn(1, 2, 4, 4, generator=generator) for _ in range(3))
    return z, z + update * step / step.norm(), denoised * clean / clean.norm()


def guarded(z: torch.Tensor, proposal: torch.Tensor, clean: torch.Tensor, step=0, label=UNLABELLED):
    labels = torch.tensor([label])
    return guard(z, proposal, clean, 0.7, labels, step, REGION, Mitigation())


def test_what_is_usual_passes_bit_for_bit() -> None:
    z, proposal, clean = batch(0, 4.05, 8.1)
    made = guarded(z, proposal, clean)
    assert torch.equal(made.proposal, proposal)
    assert made.labels.tolist() == [UNLABELLED] and made.active.tolist() == [False]


def test_both_norms_must_be_out_before_a_sample_is_labelled() -> None:
    assert guarded(*batch(0, 6.0, 8.1)).labels.tolist() == [UNLABELLED]
    assert guarded(*batch(0, 4.0, 12.0)).labels.tolist() == [UNLABELLED]
    assert guarded(*batch(0, 6.0, 9.0)).labels.tolist() == [MILD]
    assert guarded(*batch(0, 6.0, 8.0 + 0.2 * 14.5)).labels.tolist() == [STRONG]


def test_labels_stick_and_mild_ones_act_early_only() -> None:
    out = batch(1, 6.0, 14.0)
    assert guarded(*out, step=1, label=MILD).labels.tolist() == [MILD]
    assert guarded(*out, step=1, label=MILD).active.tolist() == [True]
    assert guarded(*out, step=2, label=MILD).active.tolist() == [False]
    assert guarded(*out, step=9, label=STRONG).active.tolist() == [True]


@given(
    st.integers(0, 10_000), st.floats(4.5, 30.0), st.floats(9.0, 60.0), st.sampled_from([0, 1, 5])
)
def test_an_active_step_ends_inside_the_region(
    seed: int, update: float, denoised: float, step: int
) -> None:
    z, proposal, clean = batch(seed, update, denoised)
    made = guarded(z, proposal, clean, step=step, label=STRONG)
    assert bool(made.active)
    assert abs(float(made.proposal.norm()) - 8.0) <= 3 * 0.2 + 1e-4


def test_the_first_two_operations_move_along_the_denoised_direction() -> None:
    """Mild: proposal + c (x̂0 μ/‖x̂0‖ − x̂0), then the last clamp, a scaling."""
    z, proposal, clean = batch(3, 6.0, 9.0)
    made = guarded(z, proposal, clean).proposal
    expected = proposal + 0.7 * (clean * 8.0 / clean.norm() - clean)
    cosine = torch.nn.functional.cosine_similarity(made.flatten(), expected.flatten(), dim=0)
    assert float(cosine) > 1 - 1e-6


def test_samples_of_a_batch_do_not_touch_one_another() -> None:
    usual, strange = batch(0, 4.0, 8.0), batch(1, 9.0, 20.0)
    both = [torch.cat(pair) for pair in zip(usual, strange, strict=True)]
    made = guard(*both, 0.7, torch.tensor([0, 0]), 0, REGION, Mitigation())
    assert made.active.tolist() == [False, True]
    assert torch.equal(made.proposal[0], usual[1][0])
    alone = guarded(*strange).proposal[0]
    assert torch.allclose(made.proposal[1], alone, atol=1e-6)


def test_without_a_mitigation_it_only_labels() -> None:
    z, proposal, clean = batch(1, 9.0, 20.0)
    made = guard(z, proposal, clean, 0.7, torch.tensor([0]), 0, REGION, None)
    assert torch.equal(made.proposal, proposal)
    assert made.labels.tolist() == [STRONG] and made.active.tolist() == [False]
