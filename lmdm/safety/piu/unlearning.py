"""The PIU run: a student forgets one identity towards its anchor, while the teacher stays (§3).

A run folder holds the resolved settings, the split, the anchor, the changed parameters by name, and
a log of losses and identity similarity (after a resume its last line of a step counts). It can be
cut at any step and resumed.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Protocol, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from lmdm.config import begin
from lmdm.errors import InputError
from lmdm.fitting import Figures, fit_network, generator_at
from lmdm.safety.piu.identities import Anchor, Identities, Split
from lmdm.safety.piu.objective import Sampling, forget_conditions, forget_target, piu_loss
from lmdm.safety.piu.scope import Scope, select
from lmdm.weights import read_header, write_beside

CHANGES = "changes.safetensors"
LOG_EVERY = 50  # steps between measurements of identity similarity


class IdentityModel(Protocol):
    """A diffusion model whose condition is the embedding of an identity."""

    training_steps: int  # of the noise schedule
    denoiser: nn.Module

    def data_free(self, count: int, generator: torch.Generator) -> Tensor:
        """Clean latents to train on that come from no data: z_0 ~ N(0, I)."""
        ...

    def noised(self, latents: Tensor, noise: Tensor, timestep: Tensor) -> Tensor:
        """Latents at a step of the noise schedule."""
        ...

    def predict(
        self, denoiser: nn.Module, latents: Tensor, timestep: Tensor, embeddings: Tensor
    ) -> Tensor:
        """What a denoiser predicts (ε, or velocity) for identities [N, D]."""
        ...

    def sample(self, denoiser: nn.Module, embeddings: Tensor, seed: int) -> Tensor:
        """Images of identities."""
        ...

    def embed(self, images: Tensor) -> Tensor:
        """Images -> embeddings of unit length [N, D]."""
        ...


@dataclass(frozen=True)
class Settings:
    """PIU's own values; the defaults are the released ones."""

    forget_sampling: Sampling = "dirichlet"
    eta: float = 1.0  # η, negative guidance
    lam: float = 10.0  # λ, preservation
    scope: str = "surgical"
    steps: int = 400
    batch: int = 16
    accumulation: int = 2
    rate: float = 1e-4
    weight_decay: float = 0.01
    seed: int = 42

    def __post_init__(self) -> None:
        if self.forget_sampling not in get_args(Sampling):
            known = ", ".join(get_args(Sampling))
            raise InputError(f"forget_sampling is {self.forget_sampling!r}; known: {known}")
        for name in ("steps", "batch", "accumulation"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; it must be 1 or more")
        if self.lam < 0.0 or self.rate <= 0.0:
            raise InputError("lam must be 0 or more and rate above 0")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Settings:
        """Raises InputError on a key that is no setting."""
        known = [field.name for field in fields(cls)]
        for key in values:
            if key not in known:
                raise InputError(f"PIU has no setting {key!r}; it has {', '.join(known)}")
        return cls(**values)


def unlearn(
    model: IdentityModel,
    identities: Identities,
    chosen: Split,
    anchor: Anchor,
    settings: Settings,
    scopes: Mapping[str, Scope],
    folder: Path,
    reason: str = "",
    judged: NDArray[np.float64] | None = None,
    quiet: bool = False,
) -> nn.Module:
    """The student denoiser; everything about the run lands in `folder`.

    Latents are data-free: z_0 ~ N(0, I) is noised, no image is encoded. Student and both teacher
    passes share (z, t); the retain loss has its own. judged: the identities' centroids in the
    recogniser's space, for the log, where that is not the space of the conditions.

    Raises:
        InputError: an unknown scope, or a folder begun with other settings.
    """
    if settings.scope not in scopes:
        raise InputError(f"there is no scope {settings.scope!r}; known: {', '.join(scopes)}")
    folder.mkdir(parents=True, exist_ok=True)
    resolved = {
        "settings": asdict(settings),
        "scope": asdict(scopes[settings.scope]),
        "target": chosen.target,
        "anchor": asdict(anchor),
        "nearest other identity": identities.nearest(chosen.target),
        "reason": reason,
    }
    begin(folder / "run.json", resolved)
    chosen.save(folder / "split.json")
    teacher = model.denoiser
    student = copy.deepcopy(teacher)
    trainable = select(student, scopes[settings.scope])
    optimizer = torch.optim.AdamW(
        trainable.values(), settings.rate, weight_decay=settings.weight_decay
    )
    embeddings = torch.tensor(identities.embeddings, dtype=torch.float32)
    forget = embeddings[list(chosen.forget_train)]
    kept = np.isin(identities.labels, chosen.retain_train)
    retain = embeddings[torch.tensor(np.flatnonzero(kept))]
    centroids = torch.tensor(identities.centroids, dtype=torch.float32)
    towards = centroids[anchor.identity]
    heard = torch.tensor((identities.centroids if judged is None else judged)[chosen.target])

    def loss_of(step: int) -> Tensor:
        generator = generator_at(settings.seed, step)
        total = torch.zeros(())
        for _ in range(settings.accumulation):
            total = total + _loss(
                model, teacher, student, forget, retain, towards, settings, generator
            )
        return total / settings.accumulation

    log = folder / "log.jsonl"

    def after(step: int, figures: Figures) -> None:
        row = {"step": step, **figures}
        if step % LOG_EVERY == 0:
            student.eval()
            made = model.embed(model.sample(student, forget[:8], settings.seed))
            row["forget similarity"] = float((made.double() @ heard).mean())
            student.train()
        with log.open("a") as file:
            file.write(json.dumps(row) + "\n")

    fit_network(
        student,
        optimizer,
        loss_of,
        folder / "state.safetensors",
        settings.steps,
        after=after,
        quiet=quiet,
    )
    save_changes(trainable, folder)
    return student.requires_grad_(False)


def _loss(
    model: IdentityModel,
    teacher: nn.Module,
    student: nn.Module,
    forget: Tensor,
    retain: Tensor,
    anchor: Tensor,
    settings: Settings,
    generator: torch.Generator,
) -> Tensor:
    """One micro-batch of L = L_f + λ L_p."""
    count = settings.batch
    z_f, t_f = _noised_nothing(model, count, generator)
    z_r, t_r = _noised_nothing(model, count, generator)
    c_f = forget_conditions(forget, count, settings.forget_sampling, generator)
    c_r = retain[torch.randint(len(retain), (count,), generator=generator)]
    with torch.no_grad():
        to_anchor = model.predict(teacher, z_f, t_f, anchor.expand(count, -1))
        to_forget = model.predict(teacher, z_f, t_f, c_f)
        target = forget_target(to_anchor, to_forget, settings.eta)
        kept = model.predict(teacher, z_r, t_r, c_r)
    return piu_loss(
        model.predict(student, z_f, t_f, c_f),
        target,
        model.predict(student, z_r, t_r, c_r),
        kept,
        settings.lam,
    )


def _noised_nothing(
    model: IdentityModel, count: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Data-free latents: add_noise(z_0, ε, t) of z_0 ~ N(0, I), t uniform."""
    clean = model.data_free(count, generator)
    noise = torch.randn(clean.shape, generator=generator)
    timestep = torch.randint(model.training_steps, (count,), generator=generator)
    return model.noised(clean, noise, timestep), timestep


def read_run(folder: Path) -> tuple[dict[str, Any], Anchor]:
    """What a run resolved to, and its anchor. Raises InputError unless the folder is a run's."""
    try:
        facts = json.loads((folder / "run.json").read_text())
        anchor = Anchor(int(facts["anchor"]["identity"]), float(facts["anchor"]["cosine"]))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise InputError(
            f"{folder} is not the folder of a run; make one with `piu unlearn`"
        ) from None
    return facts, anchor


def difference(before: nn.Module, after: nn.Module) -> dict[str, Tensor]:
    """The parameters of `after` that are not those of `before`."""
    old = dict(before.named_parameters())
    return {
        name: value for name, value in after.named_parameters() if not torch.equal(old[name], value)
    }


def save_changes(changed: Mapping[str, Tensor], folder: Path) -> None:
    """The changed parameters, by name."""
    tensors = {name: value.detach().cpu().clone() for name, value in changed.items()}
    write_beside(folder / CHANGES, lambda part: save_file(tensors, part))


def changed(denoiser: nn.Module, folder: Path) -> nn.Module:
    """A copy of a denoiser with a run's changes.

    Raises:
        InputError: the run is not finished, or of another model.
    """
    path = folder / CHANGES
    header = read_header(path)
    student = copy.deepcopy(denoiser)
    own = dict(student.named_parameters())
    for name, tensor in header.items():
        if name not in own or tuple(own[name].shape) != tensor.shape:
            raise InputError(f"{path}: {name!r} does not fit this model; it is of another one")
    student.load_state_dict(load_file(path), strict=False)
    return student.eval().requires_grad_(False)
