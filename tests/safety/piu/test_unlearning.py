"""The run's contracts, on a small untrained face model: what moves, what stays, what is kept."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from lmdm.errors import InputError
from lmdm.safety.piu import baselines
from lmdm.safety.piu import unlearning as piu
from lmdm.safety.piu.face_model import FaceConfig, FaceModel, gallery
from lmdm.safety.piu.identities import Anchor, labelled, split
from lmdm.safety.piu.scope import FACES
from lmdm.safety.piu.unlearning import Settings, changed, unlearn

SETTINGS = Settings(steps=4, batch=4, accumulation=2, rate=1e-3)


@pytest.fixture(scope="module")
def model() -> FaceModel:
    torch.manual_seed(0)
    made = FaceModel(FaceConfig(width=32))
    made.codec.scale.fill_(1.0)
    return made.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def identities(model: FaceModel):
    _, embeddings, who = gallery(model, 12, 4, seed=0)
    return labelled(embeddings, who)


def run(model, identities, folder: Path, settings: Settings = SETTINGS):
    return unlearn(
        model, identities, split(identities, 0), Anchor(5, 0.1), settings, FACES, folder, quiet=True
    )


def test_only_the_scope_moves_and_the_teacher_stays_bit_for_bit(
    model: FaceModel, identities, tmp_path: Path
) -> None:
    before = copy.deepcopy(model.state_dict())
    student = run(model, identities, tmp_path)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    scope = FACES["surgical"]
    for name, value in student.named_parameters():
        moved = not torch.equal(value, dict(model.denoiser.named_parameters())[name])
        assert moved == scope.holds(name), name


def test_gradients_outside_the_scope_are_none(model: FaceModel, identities) -> None:
    student = copy.deepcopy(model.denoiser)
    chosen = piu.select(student, FACES["surgical"])
    embeddings = torch.tensor(identities.embeddings, dtype=torch.float32)
    generator = torch.Generator().manual_seed(0)
    loss = piu._loss(
        model, model.denoiser, student, embeddings[:4], embeddings[4:], embeddings[9], SETTINGS,
        generator,
    )  # fmt: skip
    loss.backward()
    for name, parameter in student.named_parameters():
        assert (parameter.grad is None) == (name not in chosen)
        if name in chosen and "to_q" not in name and "to_k" not in name:
            assert float(parameter.grad.abs().sum()) > 0, name
    assert all(p.grad is None for p in model.denoiser.parameters())


def test_at_the_start_the_loss_is_what_the_teacher_alone_predicts(
    model: FaceModel, identities
) -> None:
    """Student = teacher: L_p = 0 and L_f = (1 + η)² ‖ε*(c_a) − ε*(c_f)‖²."""
    rows = torch.tensor(identities.embeddings, dtype=torch.float32)
    losses = []
    for eta in (0.0, 1.0, 3.0):
        settings = Settings(eta=eta, lam=10.0, batch=8)
        generator = torch.Generator().manual_seed(0)
        losses.append(
            float(
                piu._loss(
                    model, model.denoiser, model.denoiser, rows[:4], rows[4:], rows[9], settings,
                    generator,
                )
            )
        )  # fmt: skip
    assert losses[1] / losses[0] == pytest.approx(4.0, rel=1e-4)
    assert losses[2] / losses[0] == pytest.approx(16.0, rel=1e-4)


def test_latents_are_data_free(model: FaceModel) -> None:
    """z_t = √ᾱ z_0 + √(1 − ᾱ) ε of two standard normals is standard normal at every t."""
    z, t = piu._noised_nothing(model, 4096, torch.Generator().manual_seed(0))
    for low, high in ((0, 50), (50, 150), (150, 200)):
        part = z[(t >= low) & (t < high)]
        assert float(part.std()) == pytest.approx(1.0, abs=0.01)


def test_a_cut_run_goes_on_exactly(
    model: FaceModel, identities, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run(model, identities, tmp_path / "whole")
    original, calls = piu._loss, 0

    def cut(*arguments):  # type: ignore[no-untyped-def]
        nonlocal calls
        calls += 1
        if calls == 6:
            raise KeyboardInterrupt
        return original(*arguments)

    monkeypatch.setattr(piu, "_loss", cut)
    with pytest.raises(KeyboardInterrupt):
        run(model, identities, tmp_path / "cut")
    resumed = run(model, identities, tmp_path / "cut")
    for one, other in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(one, other)
    again = changed(model.denoiser, tmp_path / "cut")
    for one, other in zip(again.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_run_keeps_its_manifest_and_refuses_others(
    model: FaceModel, identities, tmp_path: Path
) -> None:
    run(model, identities, tmp_path)
    facts = json.loads((tmp_path / "run.json").read_text())
    assert facts["anchor"] == {"identity": 5, "cosine": 0.1}
    assert facts["settings"]["lam"] == 10.0
    with pytest.raises(InputError, match=r"settings\.eta was"):
        run(model, identities, tmp_path, Settings(steps=4, batch=4, eta=0.0))
    with pytest.raises(InputError, match="no setting 'lambda'"):
        Settings.from_dict({"lambda": 3})
    with pytest.raises(InputError, match="there is no scope 'everything'"):
        run(model, identities, tmp_path / "x", Settings(scope="everything"))


def test_uce_moves_the_targets_tokens_to_the_anchors_and_holds_the_others() -> None:
    """Closed form against gradient descent on the same quadratic, and its two limits."""
    torch.manual_seed(0)
    network = torch.nn.ModuleDict(
        {"attn2": torch.nn.ModuleDict({"to_k": torch.nn.Linear(6, 5, False)})}
    )
    network.requires_grad_(False)
    tokens = lambda rows: rows[:, None]  # noqa: E731
    forget, anchor, retain = torch.randn(1, 6), torch.randn(6), torch.randn(3, 6)
    weight = network["attn2"]["to_k"].weight.double()
    made = baselines.uce(network, tokens, forget, anchor, retain)["attn2"]["to_k"].weight.double()

    def objective(w: torch.Tensor) -> torch.Tensor:
        f, a, r = (x.double() for x in (forget, anchor[None], retain))
        return (
            20 * (f @ w.T - a @ weight.T).square().sum()
            + (r @ w.T - r @ weight.T).square().sum()
            + 0.7 * (w - weight).square().sum()
        )

    gradient = torch.func.grad(objective)(made)
    assert float(gradient.abs().max()) < 1e-4 * float(objective(weight))
    strong = baselines.uce(network, tokens, forget, anchor, retain, 1e6, 1e3, 1e-3)
    k = strong["attn2"]["to_k"].weight
    assert torch.allclose(forget @ k.T, anchor[None] @ weight.float().T, atol=1e-2)
    assert torch.allclose(retain @ k.T, retain @ weight.float().T, atol=5e-2)


def test_siss_weights_are_importance_weights(model: FaceModel, identities, tmp_path: Path) -> None:
    """It runs, is reproducible, and with ratio 0 is plain training on what is kept."""
    latents = model.data_free(48, torch.Generator().manual_seed(0))
    rows = torch.tensor(identities.embeddings, dtype=torch.float32)
    arguments = (latents[:3], rows[:3], latents[4:], rows[4:])
    options = {"steps": 2, "batch": 4, "rate": 1e-3, "quiet": True}
    one = baselines.siss(model, *arguments, tmp_path / "a", **options)
    other = baselines.siss(model, *arguments, tmp_path / "b", **options)
    plain = baselines.siss(model, *arguments, tmp_path / "c", ratio=0.0, **options)
    pairs = list(zip(one.parameters(), other.parameters(), plain.parameters(), strict=True))
    assert all(torch.equal(a, b) for a, b, _ in pairs)
    assert any(not torch.equal(a, c) for a, _, c in pairs)
    assert all(np.isfinite(a.numpy()).all() for a, _, _ in pairs)
