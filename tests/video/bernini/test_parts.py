"""Segments, guidance, APG, the plan's order and mask: against formulas and independent code."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lmdm.diffusion.guidance import projected
from lmdm.errors import InputError
from lmdm.video import words
from lmdm.video.bernini.guidance import DEFAULTS, Omegas, chain_of, chained
from lmdm.video.bernini.planner import (
    ANSWER,
    CLIP,
    LENGTHS,
    TARGET,
    Instruction,
    Planner,
    PlannerConfig,
    attention_mask,
    masked_after,
    plan,
)
from lmdm.video.bernini.renderer import segments_of
from lmdm.video.bernini.vit import WIDTH
from lmdm.video.dit import VideoDiT, VideoDiTConfig, grid_positions, rotation_of


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


# -- segment-aware RoPE -----------------------------------------------------------------------


def test_segments_in_order_and_fractional_beyond_five():
    assert segments_of(3) == (1.0, 2.0, 3.0)
    assert segments_of(0) == ()
    assert segments_of(7) == pytest.approx(tuple(np.linspace(1, 5, 7)))


def test_the_segments_phase_is_on_all_channels():
    """phi_j += s base^(-2j/D), checked with complex numbers; s may be fractional."""
    config = VideoDiTConfig(dim=48, heads=2, axes=(8, 8, 8), rope_base=10000.0)
    positions = grid_positions((2, 3, 2))
    plain, tagged = rotation_of(config, positions), rotation_of(config, positions, 2.5)
    omega = 10000.0 ** (-torch.arange(0, 24, 2, dtype=torch.float64) / 24)
    expected = torch.polar(torch.ones(12, dtype=torch.float64), 2.5 * omega)
    before = torch.complex(plain.cos[:, :12], plain.sin[:, :12]).to(torch.complex128)
    after = torch.complex(tagged.cos[:, :12], tagged.sin[:, :12]).to(torch.complex128)
    assert (after - before * expected).abs().max() < 1e-6


def test_the_dossiers_logit_factors():
    """§3 (c): mean_j cos(ds w_j) for D = 128 is .970, .897, .815, .759, .737 at ds = 1..5."""
    omega = 10000.0 ** (-np.arange(0, 128, 2) / 128)
    factors = [float(np.cos(ds * omega).mean()) for ds in range(1, 6)]
    assert factors == pytest.approx([0.970, 0.897, 0.815, 0.759, 0.737], abs=0.001)


def test_inside_a_segment_nothing_changes():
    """Relative positions: a source alone, whatever its id, gives the attention it gave at 0."""
    config = VideoDiTConfig(dim=48, heads=2, axes=(8, 8, 8), patch=(1, 1, 1))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = VideoDiT(config)
        for parameter in network.parameters():
            torch.nn.init.normal_(parameter, std=0.2)
    x = normal(1, 3, 2, 3, 3)
    time = network.embed_time(torch.tensor([0.5]))
    hidden = [
        network.transform(
            network.embed(x), time, rotation_of(config, grid_positions((2, 3, 3)), segment)
        )[0]
        for segment in (0.0, 3.7)
    ]
    torch.testing.assert_close(hidden[0], hidden[1], rtol=1e-4, atol=1e-4)


# -- guidance ---------------------------------------------------------------------------------


def test_chained_guidance_by_hand():
    e = [normal(2, 3, 4, seed=seed) for seed in range(4)]
    expected = e[0] + 1.25 * (e[1] - e[0]) + 4 * (e[2] - e[1]) + 0.5 * (e[3] - e[2])
    torch.testing.assert_close(chained(e, [1.25, 4.0, 0.5], apg=False), expected)
    # all strengths 1: the last prediction, with or without conditions in between
    torch.testing.assert_close(chained(e, [1.0] * 3, apg=False), e[3])
    with pytest.raises(ValueError, match="strengths"):
        chained(e, [1.0], apg=False)


def test_apg_projects_along_the_prediction_with_more_conditions_and_keeps_a_fifth_of_that():
    e = [normal(1, 8, seed=seed) for seed in range(2)]
    expected = e[0] + 3.0 * projected(e[1] - e[0], e[1], 0.2)
    torch.testing.assert_close(chained(e, [3.0], apg=True), expected)


def test_what_a_task_lacks_costs_no_pass():
    omegas = Omegas(4.0, 1.25, 3.0, 0.5)
    chain, strengths = chain_of(omegas, video=True, images=True, plan=True, merged=False)
    assert [(c.sources, c.context) for c in chain] == [
        ("none", "negative"), ("video", "negative"), ("all", "negative"), ("all", "text"),
        ("all", "plan"),
    ]  # fmt: skip
    assert strengths == [1.25, 3.0, 4.0, 0.5]
    chain, strengths = chain_of(omegas, video=True, images=True, plan=True, merged=True)
    assert len(chain) == 4 and strengths == [1.25, 4.0, 0.5]
    chain, strengths = chain_of(omegas, video=False, images=False, plan=False, merged=False)
    assert [(c.sources, c.context) for c in chain] == [("none", "negative"), ("none", "text")]
    assert strengths == [4.0]


def test_the_expert_switch_weakens_all_strengths_once():
    omegas = Omegas(4.0, 2.0, 1.0, 0.5, scale=0.75)
    assert omegas.at(0.875) == omegas
    assert omegas.at(0.87) == Omegas(3.0, 1.5, 0.75, 0.375)
    assert DEFAULTS["v2v"] == Omegas(4.0, 1.25, 1.25, 0.5)


def test_strengths_from_the_command_line():
    assert Omegas.parse("txt=3, tgt=1", DEFAULTS["v2v"]) == Omegas(3.0, 1.25, 1.25, 1.0)
    for bad in ("text=3", "txt", "txt=x"):
        with pytest.raises(InputError):
            Omegas.parse(bad, DEFAULTS["v2v"])


# -- the planner ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def planner() -> Planner:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = Planner(PlannerConfig(dim=32, depth=3, heads=2))
        for parameter in network.parameters():
            torch.nn.init.normal_(parameter, std=0.15)
    return network.eval()


def instruction(batch: int = 2, seed: int = 0, present: bool = True) -> Instruction:
    generator = torch.Generator().manual_seed(seed)
    return Instruction(
        torch.randint(1, 20, (batch, words.LONGEST_PROMPT), generator=generator),
        normal(batch, CLIP, WIDTH, seed=seed), normal(batch, 12, WIDTH, seed=seed + 1),
        torch.randint(1, 20, (batch, ANSWER), generator=generator),
        torch.full((batch, 6), present),
    )  # fmt: skip


def test_the_mask_of_the_paper():
    """Text, sources, answer: causal, blind to the target. Target: bidirectional in itself."""
    mask = attention_mask(torch.ones(1, 6, dtype=torch.bool))[0, 0]
    before, total = TARGET.start, sum(LENGTHS)
    assert torch.equal(mask[:before, :before], torch.ones(before, before).tril().bool())
    assert not mask[:before, before:].any()
    assert mask[before:].all() and mask.shape == (total, total)
    present = torch.tensor([[True, False, True, True, False, False]])
    mask = attention_mask(present)[0, 0]
    source = slice(LENGTHS[0], LENGTHS[0] + LENGTHS[1])
    assert not mask[before:, source].any() and mask[before:, : LENGTHS[0]].all()


def test_nothing_before_the_target_hears_it(planner):
    """The leak that a lazy build has: earlier hidden states must not change with the target."""
    known = torch.ones(2, CLIP, dtype=torch.bool)
    with torch.no_grad():
        states = [
            planner.hidden(instruction(), normal(2, CLIP, WIDTH, seed=seed), known)
            for seed in (5, 6)
        ]
    for one, other in zip(*states, strict=True):
        assert torch.equal(one[:, : TARGET.start], other[:, : TARGET.start])
        assert (one[:, TARGET] - other[:, TARGET]).abs().max() > 1e-3


def test_the_first_target_token_hears_the_last(planner):
    target = normal(2, CLIP, WIDTH)
    changed = target.clone()
    changed[:, -1] += 1
    known = torch.ones(2, CLIP, dtype=torch.bool)
    with torch.no_grad():
        a, _ = planner.hidden(instruction(), target, known)
        b, _ = planner.hidden(instruction(), changed, known)
    assert (a[:, TARGET.start] - b[:, TARGET.start]).abs().max() > 1e-4


def test_absent_sources_are_removed_not_zeroed(planner):
    """Whatever stands in an absent part, nothing else hears it."""
    target, known = torch.zeros(2, CLIP, WIDTH), torch.zeros(2, CLIP, dtype=torch.bool)
    here = instruction().without(text=False, visuals=True)
    other = Instruction(here.words, here.source + 9, here.references - 9, here.answer, here.present)
    with torch.no_grad():
        a, _ = planner.hidden(here, target, known)
        b, _ = planner.hidden(other, target, known)
        c, _ = planner.hidden(instruction(), target, known)
    assert torch.equal(a[:, TARGET], b[:, TARGET])
    assert (a[:, TARGET] - c[:, TARGET]).abs().max() > 1e-3


def test_what_is_masked_is_not_seen(planner):
    unknown = torch.zeros(2, CLIP, dtype=torch.bool)
    with torch.no_grad():
        a, _ = planner.hidden(instruction(), normal(2, CLIP, WIDTH, seed=1), unknown)
        b, _ = planner.hidden(instruction(), normal(2, CLIP, WIDTH, seed=2), unknown)
    assert torch.equal(a, b)


@given(st.integers(1, 40), st.integers(1, 64))
def test_the_unmasking_schedule(steps, tokens):
    """max(1, min(|M| - 1, floor(N cos(pi/2 (k+1)/K)))) until the last step, which leaves none."""
    masked = tokens
    for k in range(steps):
        keep = masked_after(k, steps, tokens, masked)
        if k < steps - 1:
            cosine = math.floor(tokens * math.cos(math.pi / 2 * (k + 1) / steps))
            assert keep == max(1, min(masked - 1, cosine))
        assert keep <= masked
        masked = keep
    assert masked == 0


def test_a_plan_commits_what_it_has_written(planner, monkeypatch):
    """Every token is written once, into all three copies, and is known from then on."""
    seen = []
    hidden = Planner.hidden

    def listening(self, instruction, target, known):
        seen.append((instruction.present.clone(), target.clone(), known.clone()))
        return hidden(self, instruction, target, known)

    monkeypatch.setattr(Planner, "hidden", listening)
    full = instruction()
    embeddings, residual = plan(
        planner, full, steps=4, vit_steps=2, text_guidance=1.2, image_guidance=0.7
    )
    assert embeddings.shape == residual.shape == (2, CLIP, WIDTH)
    assert len(seen) == 4 * 3 + 1
    for step in range(4):
        (c, x, known), (i, y, known_i), (u, z, known_u) = seen[3 * step : 3 * step + 3]
        assert torch.equal(x, y) and torch.equal(y, z)
        assert torch.equal(known, known_i) and torch.equal(known, known_u)
        assert c.all()
        assert i[:, [0, 5]].all() and not i[:, 1:5].any()  # text only
        assert not u.any()  # neither
        assert torch.equal(x[known], embeddings[known])
    counts = [int(known[0].sum()) for _, _, known in seen[::3]]
    assert counts == [0, 2, 5, 10, 16]


def test_plans_are_the_seeds(planner):
    one, other = (plan(planner, instruction(), steps=3, seed=seed)[0] for seed in (1, 2))
    assert torch.equal(one, plan(planner, instruction(), steps=3, seed=1)[0])
    assert (one - other).abs().max() > 0.1


def test_for_gen_begins_at_zero_and_the_flow_head_too():
    with torch.random.fork_rng(devices=[]):
        fresh = Planner()
    _, residual = plan(fresh, instruction(), steps=2)
    assert not residual.any()
    assert not fresh.flow_head(normal(3, WIDTH), torch.rand(3), normal(3, 96)).any()
