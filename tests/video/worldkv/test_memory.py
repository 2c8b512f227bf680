"""Retrieval, compression, bank: against independent arithmetic."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from lmdm.errors import InputError
from lmdm.video.worldkv import retrieval
from lmdm.video.worldkv.bank import MemoryBank
from lmdm.video.worldkv.compression import compressed, kept_indices


def poses(count: int, seed: int = 0) -> torch.Tensor:
    generator = np.random.default_rng(seed)
    matrices = np.tile(np.eye(4), (count, 1, 1))
    matrices[:, :3, :3] = Rotation.random(count, random_state=seed).as_matrix()
    matrices[:, :3, 3] = generator.standard_normal((count, 3))
    return torch.from_numpy(matrices)


def test_pose_distances_against_scipy():
    p = poses(9)
    got = retrieval.pose_distances(p[:8, :3, 3], p[:8, :3, :3], p[8, :3, 3], p[8, :3, :3])
    moved = ((p[:8, :3, 3] - p[8, :3, 3]) ** 2).sum(-1).numpy()
    here = Rotation.from_matrix(p[8, :3, :3].numpy())
    turned = (Rotation.from_matrix(p[:8, :3, :3].numpy()).inv() * here).magnitude()
    expected = 0.5 * moved / moved.max() + 0.5 * turned / turned.max()
    np.testing.assert_allclose(got.numpy(), expected, atol=1e-9)


def test_distances_of_one_place_are_zero_not_nan():
    p = poses(1).repeat(4, 1, 1)
    got = retrieval.pose_distances(p[:, :3, 3], p[:, :3, :3], p[0, :3, 3], p[0, :3, :3])
    assert got.isfinite().all() and got.max() < 1e-5


def test_a_full_turn_is_no_turn():
    """Rotation matrices do not wrap: -179 and 179 degrees are 2 apart."""
    angles = torch.tensor([[0.0, 0.0, math.radians(a)] for a in (-179.0, 0.0)])
    actions = torch.zeros(2, 3)
    actions[:, 2] = angles[:, 2]
    turned = torch.stack([retrieval.planar_poses(each[None])[0] for each in actions])
    here = retrieval.planar_poses(torch.tensor([[0.0, 0.0, math.radians(179.0)]]))[0]
    d = retrieval.pose_distances(
        turned[:, :3, 3], turned[:, :3, :3], here[:3, 3], here[:3, :3], weight=0.0
    )
    assert d[0] < 0.02 and d[1] == 1.0


def test_actions_are_added_up_to_poses():
    """Ahead 1, turn 90 degrees to the right, ahead 2: at (2, 1), looking along x."""
    quarter = math.pi / 2
    actions = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, quarter], [2.0, 0.0, 0.0]])
    last = retrieval.planar_poses(actions)[-1]
    assert last[:3, 3].tolist() == pytest.approx([2.0, 0.0, 1.0])
    assert (last[:3, :3] @ torch.tensor([0.0, 0.0, 1.0]).double()).tolist() == pytest.approx(
        [1.0, 0.0, 0.0], abs=1e-6
    )


@given(st.integers(0, 60), st.integers(0, 4), st.integers(0, 6))
def test_candidates_are_neither_sink_nor_recent_and_none_is_lost(chunk, sink, recent):
    found = retrieval.candidates(chunk, sink, recent)
    window = set(range(min(sink, chunk))) | set(range(max(0, chunk - recent), chunk))
    assert not set(found) & window
    assert set(found) | window == set(range(chunk))


def test_the_nearest_come_first():
    assert retrieval.nearest(torch.tensor([0.4, 0.1, 0.9, 0.1]), [5, 6, 7, 8], 3) == [6, 8, 5]
    assert retrieval.nearest(torch.tensor([0.4]), [5], 3) == [5]


def keys(batch: int = 2, heads: int = 3, frames: int = 3, tokens: int = 8) -> torch.Tensor:
    return torch.randn(batch, heads, frames * tokens, 4, generator=torch.Generator().manual_seed(0))


def test_centroid_pruning_token_by_token():
    """The least similar to the anchor's mean key, over all heads together, in every frame."""
    k = keys()
    got = kept_indices(k, 8, 0.25)
    for row in range(2):
        flat = k[row].permute(1, 0, 2).reshape(24, 12).numpy()
        centroid = flat[:8].mean(0)
        cosine = flat @ centroid / np.linalg.norm(flat, axis=1) / np.linalg.norm(centroid)
        expected = list(range(8))
        for frame in (1, 2):
            own = np.arange(frame * 8, frame * 8 + 8)
            expected += sorted(own[np.argsort(cosine[own])[:2]])
        assert got[row].tolist() == expected


def test_pooled_pruning_keeps_as_many_wherever_they_are():
    k = keys()
    k[:, :, 8:16] = k[:, :, :8].mean(2, keepdim=True)  # frame 2 says nothing new
    each, pooled = (kept_indices(k, 8, 0.25, pooled=flag) for flag in (False, True))
    assert each.shape == pooled.shape
    assert ((each >= 8) & (each < 16)).sum() == 4
    assert ((pooled >= 8) & (pooled < 16)).sum() == 0
    assert (pooled.diff(dim=1) > 0).all()


def test_keys_and_values_are_gathered_alike_and_copied():
    k = keys()
    v = k + 100
    indices = kept_indices(k, 8, 0.5, rule="nearest")
    key, value = compressed((k, v), indices)
    assert torch.equal(value, key + 100)
    assert torch.equal(key[1, :, 9], k[1, :, int(indices[1, 9])])
    k.zero_()
    assert key.abs().sum() > 0


def test_a_quarter_halves_a_chunk():
    """Dossier §2: 1.5 of 3 frames; the script's 0.5 keeps two thirds."""
    assert kept_indices(keys(), 8, 0.5).shape[1] == 16
    assert kept_indices(keys(), 8, 0.25).shape[1] == 12
    assert kept_indices(keys(), 8, 0.0).shape[1] == 8
    assert kept_indices(keys(), 8, 1.0)[0].tolist() == list(range(24))


def test_banks_give_back_what_they_got(tmp_path):
    layers = [(keys(), keys() + 1), (keys() + 2, keys() + 3)]
    for bank in (MemoryBank("cpu"), MemoryBank("disk", tmp_path / "bank")):
        bank.store(4, [(k.clone(), v.clone()) for k, v in layers])
        bank.store(7, [(k[:, :, :5], v[:, :, :5]) for k, v in layers])
        for (k, v), (wanted_k, wanted_v) in zip(bank.fetch(4), layers, strict=True):
            assert torch.equal(k, wanted_k) and torch.equal(v, wanted_v)
        assert len(bank) == 2
        assert [bank.fetch(chunk)[0][0].shape[2] for chunk in (4, 7)] == [24, 5]  # tokens
        with pytest.raises(KeyError):
            bank.fetch(5)


def test_a_slice_stored_does_not_keep_the_whole_alive():
    whole = torch.zeros(1, 1, 1000, 4)
    bank = MemoryBank()
    bank.store(0, [(whole[:, :, :5], whole[:, :, :5])])
    assert bank.bytes == 2 * 5 * 4 * 4
    assert bank.fetch(0)[0][0].untyped_storage().nbytes() == 5 * 4 * 4


def test_banks_that_are_not_here():
    for arguments in (("tape",), ("disk",), *([] if torch.cuda.is_available() else [("gpu",)])):
        with pytest.raises(InputError):
            MemoryBank(*arguments)
