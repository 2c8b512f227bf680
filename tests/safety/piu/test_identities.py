from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from lmdm.errors import InputError
from lmdm.safety.piu.identities import (
    Identities,
    anchors,
    choose_anchor,
    cluster,
    labelled,
    load_identities,
    load_split,
    read_embeddings,
    save_identities,
    split,
    unit,
)


def people(count: int = 40, pictures: int = 6, spread: float = 0.1, seed: int = 0):
    generator = np.random.default_rng(seed)
    centres = unit(generator.normal(size=(count, 24)))
    who = np.arange(count).repeat(pictures)
    noise = spread * generator.normal(size=(len(who), 24)) / 24**0.5
    return (centres[who] + noise) * generator.uniform(0.5, 2.0, (len(who), 1)), who


def test_clusters_are_the_people_and_lone_pictures_stay_alone() -> None:
    embeddings, who = people()
    lone = unit(np.random.default_rng(9).normal(size=(1, 24)))
    found = cluster(np.concatenate([embeddings, lone]))
    assert len(found.centroids) == 41
    assert (found.labels[:-1] == who).all()
    assert np.allclose(np.linalg.norm(found.centroids, axis=1), 1.0)
    mean = unit(found.embeddings[found.labels == 3].mean(axis=0, keepdims=True))
    assert np.allclose(found.centroids[3], mean[0])


def test_eps_is_a_cosine_distance() -> None:
    """Two unit vectors with cosine c join at eps just above 1 − c, and not just below."""
    pair = np.array([[1.0, 0.0], [0.8, 0.6]])
    assert len(cluster(pair, eps=0.201).centroids) == 1
    assert len(cluster(pair, eps=0.199).centroids) == 2


def test_the_split_leaves_out_pictures_of_the_target_and_whole_others() -> None:
    identities = labelled(*people())
    chosen = split(identities, 7)
    assert len(chosen.forget_validation) == 2 and len(chosen.forget_train) == 4
    assert set(chosen.forget_train) | set(chosen.forget_validation) == set(identities.of(7))
    assert len(chosen.retain_validation) == 4 and len(chosen.retain_train) == 35
    assert set(chosen.retain_train) | set(chosen.retain_validation) | {7} == set(range(40))
    assert chosen == split(identities, 7)
    assert chosen != split(identities, 7, seed=1)


def test_anchors_lie_at_the_cosine_and_never_in_validation() -> None:
    identities = labelled(*people(count=200, seed=3))
    for target in range(5):
        chosen = split(identities, target)
        found = anchors(identities, chosen, tau=0.1, tolerance=0.05)
        assert found
        for each in found:
            cosine = identities.centroids[each.identity] @ identities.centroids[target]
            assert abs(cosine - 0.1) < 0.05 and each.cosine == pytest.approx(cosine)
            assert each.identity in chosen.retain_train
        assert choose_anchor(identities, chosen, 0.1, 0.05) in found


def test_what_cannot_be_done_is_said() -> None:
    identities = labelled(*people())
    with pytest.raises(InputError, match="numbered 0 to 39"):
        split(identities, 40)
    single = labelled(*people(pictures=1))
    with pytest.raises(InputError, match="has one image"):
        split(single, 0)
    with pytest.raises(InputError, match="give another tau or a wider tolerance"):
        choose_anchor(identities, split(identities, 0), tau=0.999)
    with pytest.raises(InputError, match="zero or not finite"):
        cluster(np.zeros((3, 4)))
    with pytest.raises(InputError, match="zero or not finite"):
        cluster(np.array([[1.0, np.nan], [1.0, 0.0]]))


def test_files(tmp_path: Path) -> None:
    embeddings, who = people()
    identities = labelled(embeddings, who)
    path = tmp_path / "people.safetensors"
    save_identities(identities, path)
    again = load_identities(path)
    assert np.array_equal(again.embeddings, identities.embeddings)
    assert np.array_equal(again.labels, identities.labels)
    np.save(tmp_path / "e.npy", embeddings)
    assert np.array_equal(read_embeddings(tmp_path / "e.npy"), embeddings)
    np.save(tmp_path / "o.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match="not a whole"):
        read_embeddings(tmp_path / "o.npy")
    half = torch.tensor(embeddings, dtype=torch.bfloat16)  # numpy has no such type
    save_file({"embeddings": half}, tmp_path / "half.safetensors")
    assert np.array_equal(read_embeddings(tmp_path / "half.safetensors"), half.double().numpy())
    spoilt = np.where(np.arange(24) == 3, np.nan, identities.embeddings)
    save_identities(Identities(spoilt, identities.labels, identities.centroids), path)
    with pytest.raises(InputError, match="is damaged"):
        load_identities(path)
    chosen = split(identities, 3)
    chosen.save(tmp_path / "split.json")
    assert load_split(tmp_path / "split.json", identities) == chosen
    with pytest.raises(InputError, match="other identities"):
        load_split(tmp_path / "split.json", labelled(*people(count=30)))
