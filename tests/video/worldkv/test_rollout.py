"""Rollouts: what a chunk sees, and that memory is exactly what the network itself would give."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from lmdm.video.block_causal import teacher_forced_velocity
from lmdm.video.dit import VideoDiT
from lmdm.video.worldkv import ring
from lmdm.video.worldkv.bank import MemoryBank
from lmdm.video.worldkv.evaluate import Revisit, by_gap, frame_revisits, revisits, verdict
from lmdm.video.worldkv.rollout import MemoryPolicy, Rollout

TOKENS = ring.CHUNK * ring.VIEW


@pytest.fixture(scope="module")
def network() -> VideoDiT:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = VideoDiT(ring.CONFIG)
        for parameter in network.parameters():  # zero-initialised parts would hide everything
            torch.nn.init.normal_(parameter, std=0.15)
    return network.eval()


def rollout(network, chunks: int = 12, **policy) -> Rollout:
    positions = ring.sweep(chunks * ring.CHUNK, reach=14)
    settings = MemoryPolicy(**({"steps": 3} | policy))
    state = Rollout(ring.RingModel(network, positions, 2), settings, MemoryBank())
    for _ in state.chunks(chunks):
        pass
    return state


def test_the_full_cache_is_teacher_forcing(network):
    """Cached == uncached: a chunk's velocity is that of the whole sequence in one masked pass."""
    state = rollout(network, 5, mode="full")
    clean = torch.cat(state.latents, dim=2)
    noisy = torch.randn(clean.shape, generator=torch.Generator().manual_seed(1))
    t = torch.tensor([[0.2, 0.9, 0.5, 0.7, 0.4]] * 2)
    positions = state.model.positions
    features = ring.features_of(positions).expand(2, -1, -1, -1, -1)
    with torch.no_grad():
        whole = teacher_forced_velocity(network, clean, noisy, t, features, ring.CHUNK)
        x = noisy[:, :, 4 * ring.CHUNK :]
        state.latents.pop()
        state.rolling.pop(4)
        cached, _ = state.model.encode_chunk(x, 0.4, 4, state._past([]))
    torch.testing.assert_close(cached, whole[:, :, 4 * ring.CHUNK :], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("policy", "most"),
    [
        ({"mode": "full"}, 11 * TOKENS),
        ({"mode": "sliding"}, 3 * TOKENS),
        ({"mode": "sliding", "recent": 4}, 5 * TOKENS),
        ({}, 5 * TOKENS),
        ({"keep": 0.25}, 3 * TOKENS + 2 * 10),
        ({"retrieve": 4, "keep": 0.25}, 3 * TOKENS + 4 * 10),
        ({"sink": 0, "recent": 3, "mode": "sliding"}, 3 * TOKENS),
    ],
)
def test_past_tokens(network, policy, most):
    """The dossier's token counts: 54 sliding, 90 with two chunks, 94 with four halves; flat."""
    tokens = [report.past_tokens for report in rollout(network, **policy).reports]
    assert max(tokens) == most and tokens[0] == 0
    if policy.get("mode") != "full":
        assert tokens[-1] == tokens[-3]


def test_retrieval_finds_where_the_camera_was(network):
    """Out by 14 cells and back: on the way back each chunk retrieves its mirror image."""
    state = rollout(network, 10)
    assert [report.retrieved for report in state.reports[:4]] == [(), (), (), ()]
    for report in state.reports:
        assert not {0, report.chunk - 1, report.chunk - 2} & set(report.retrieved)
        assert list(report.distances) == sorted(report.distances)
    assert state.reports[8].retrieved[0] == 1  # frames 24..26 look where frames 2..4 looked


def test_the_selection_is_made_once_a_chunk(network):
    state = rollout(network, 8, metric="random")
    seen = []
    encode = state.model.encode_chunk

    def listening(x, t, chunk, past):
        seen.append((t, past[0][0].data_ptr(), past[1][0].data_ptr()))
        return encode(x, t, chunk, past)

    state.model.encode_chunk = listening
    state.model.positions = ring.sweep(27)
    state.next_chunk()
    assert [t for t, *_ in seen] == pytest.approx([1.0, 2 / 3, 1 / 3, 0.0])  # the clean pass last
    assert len({where for _, *where in seen for where in [tuple(where)]}) == 1


def test_memory_is_of_the_clean_pass_not_of_a_noisy_step(network):
    state = rollout(network, 3)
    with torch.no_grad():
        _, clean = state.model.encode_chunk(state.latents[2], 0.0, 2, _past_of(state, 2))
        _, noisy = state.model.encode_chunk(state.latents[2], 1 / 3, 2, _past_of(state, 2))
    for (key, value), (stored_key, stored_value) in zip(clean, state.bank.fetch(2), strict=True):
        torch.testing.assert_close(stored_key, key)
        torch.testing.assert_close(stored_value, value)
    assert (noisy[1][0] - clean[1][0]).abs().max() > 1e-2


def _past_of(state: Rollout, chunk: int):
    from lmdm.video.worldkv.retrieval import joined

    return joined([state.bank.fetch(j) for j in range(chunk)])


def test_rope_correction_is_what_the_network_would_have_written(network):
    """A key moved by d frames is the key of the same token standing d frames later."""
    model = ring.RingModel(network, ring.sweep(60), 1)
    x = torch.randn(model.chunk_shape, generator=torch.Generator().manual_seed(3))
    features = ring.features_of(torch.arange(3))[None]
    from lmdm.video.block_causal import chunk_pass

    with torch.no_grad():
        _, early = chunk_pass(network, x, 0.0, 3.0, features, None)
        _, late = chunk_pass(network, x, 0.0, 45.0, features, None)
    for layer in range(model.layers):
        torch.testing.assert_close(model.moved(early[layer][0], 42.0), late[layer][0],
                                   rtol=1e-4, atol=1e-4)  # fmt: skip
        torch.testing.assert_close(early[layer][1], late[layer][1], rtol=1e-4, atol=1e-5)


def test_corrected_chunks_stand_just_before_the_recent_ones(network):
    plain = rollout(network, 9)
    corrected = Rollout(plain.model, replace(plain.policy, rope_correction=True), plain.bank,
                        plain.latents, plain.rolling, plain.reports)  # fmt: skip
    moves = []
    original = plain.model.moved
    plain.model.moved = lambda keys, frames: (moves.append(frames), original(keys, frames))[1]
    corrected._retrieved([1, 3], recent_start=7)
    # two layers each: chunk 1 to place 5, chunk 3 to place 6
    assert moves == [4 * ring.CHUNK] * 2 + [3 * ring.CHUNK] * 2


@pytest.mark.parametrize("metric", ["pose", "attention", "random"])
def test_a_killed_rollout_goes_on_the_same(network, metric):
    whole = rollout(network, 9, metric=metric, keep=0.5)
    again = Rollout(whole.model, whole.policy, MemoryBank())
    for known in whole.latents[:6]:
        again.next_chunk(known)
    for _ in again.chunks(9):
        pass
    assert all(torch.equal(a, b) for a, b in zip(whole.latents, again.latents, strict=True))
    strip = [replace(report, seconds=0.0) for report in again.reports]
    assert strip == [replace(report, seconds=0.0) for report in whole.reports]


def test_revisits_are_counted_against_the_first_showing():
    """A world that is always shown alike has no error; one that changes has what it changed by."""
    positions = ring.sweep(60, reach=14)
    world = torch.randn(2, 3, ring.CELLS, generator=torch.Generator().manual_seed(0))
    latents = world[:, :, ring.cells_of(positions)].unsqueeze(3)
    found = revisits(latents, positions, 3)
    assert found and all(each.error == 0 and each.gap > 3 for each in found)
    changed = latents.clone()
    changed[:, :, 30:] += 0.5
    errors = [each.error for each in revisits(changed, positions, 3) if each.chunk >= 10]
    assert errors == pytest.approx([0.25] * len(errors))
    assert by_gap([Revisit(9, 4, 0.04)])[4]["psnr"] == pytest.approx(26.02, abs=0.01)


def test_revisits_by_pose_for_any_world():
    positions = ring.sweep(60, reach=14)
    poses = ring.poses_of(positions)
    assert torch.equal(ring.positions_of(poses), positions)
    latents = torch.zeros(1, 1, 60, 1, 1)
    latents[:, :, 30:] = 1.0
    found = frame_revisits(latents, poses, 3, 3)
    assert {each.error for each in found if each.chunk < 10} <= {0.0}
    assert {each.error for each in found if each.chunk >= 10} == {1.0}


def test_a_table_that_should_be_falsified_is():
    def rows(retrieval, random, compressed, tokens=90.0):
        figures = {"retrieval k=2": retrieval, "random k=2": random, "k=4, keep .25": compressed}
        return {
            name: {"revisit_mse": {"mean": value}, "max_tokens": {"mean": tokens}}
            for name, value in figures.items()
        }

    assert not verdict(rows(0.25, 0.75, 0.17))["falsified"]
    assert verdict(rows(0.8, 0.75, 0.17))["falsified"]
    assert verdict(rows(0.25, 0.75, 0.3))["falsified"]
    assert verdict(rows(0.25, 0.75, 0.17, 108.0))["falsified"]


@pytest.mark.slow
def test_the_table_of_the_model_that_comes_along():
    """Dossier §6's relations, on five random trajectories; the kept report has all policies."""
    from lmdm.video.worldkv.evaluate import table

    names = [
        "full", "sliding", "retrieval k=2", "random k=2", "k=2, keep .25", "k=4, keep .25",
        "k=2, keep .25, random tokens",
    ]  # fmt: skip
    *_, (_, done) = table(ring.load(), 5, 40, 4, names)
    mse = {name: row["revisit_mse"]["mean"] for name, row in done.items()}
    assert not verdict(done)["falsified"]
    assert mse["sliding"] > mse["random k=2"] > 2 * mse["retrieval k=2"]
    assert mse["full"] < 0.02
    assert mse["k=2, keep .25"] < mse["k=2, keep .25, random tokens"]
    assert all(row["variance"]["mean"] > 0.5 for row in done.values())  # nothing is frozen


def test_sweeps_and_walks_move_by_a_cell_at_most():
    for positions in (
        ring.sweep(100), ring.random_sweep(100, np.random.default_rng(0)),
        ring.walk(100, np.random.default_rng(0)),
    ):  # fmt: skip
        moves = (positions.diff() + 1) % ring.CELLS
        assert len(positions) == 100 and set(moves.tolist()) <= {0, 1, 2}
