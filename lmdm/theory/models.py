"""A trained discrete model: its configuration, its network, and what it says in each process.

On disk a folder with config.json and network.safetensors (float16).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from lmdm.config import from_dict, read_json, write_json
from lmdm.diffusion.discrete import absorbing, masked, sampling
from lmdm.diffusion.discrete.absorbing import LiftedState
from lmdm.diffusion.discrete.losses import cross_entropy, nelbo
from lmdm.diffusion.discrete.process import TokenProcess
from lmdm.diffusion.discrete.representation import Representation, TokenPrediction
from lmdm.diffusion.discrete.sampling import Corrector, Shaping
from lmdm.errors import InputError
from lmdm.theory.bars import BAR, VOCABULARY, allowed_tokens
from lmdm.theory.network import NetworkConfig, TokenNet
from lmdm.weights import load_into, save_module

LOSSES = ("elbo", "ce")


@dataclass(frozen=True)
class ModelConfig:
    """A network, what its output means ("loo" or "denoiser"), and the tokens it speaks of.

    loss: "elbo" or "ce", what it was trained with. alphabet: a token's text, in order: characters,
    or the names of bar tokens. layout: "text", where every token may stand everywhere, or "bars".
    """

    network: NetworkConfig
    means: str
    loss: str
    alphabet: tuple[str, ...]
    layout: str = "text"

    def __post_init__(self) -> None:
        if self.means not in ("loo", "denoiser"):
            raise InputError(f"model: means is {self.means!r}; known: loo, denoiser")
        if self.loss not in LOSSES:
            raise InputError(f"model: loss is {self.loss!r}; known: {', '.join(LOSSES)}")
        if self.layout not in ("text", "bars"):
            raise InputError(f"model: layout is {self.layout!r}; known: text, bars")
        if len(self.alphabet) != self.network.vocabulary:
            raise InputError(
                f"model: {len(self.alphabet)} tokens are named, the network has "
                f"{self.network.vocabulary}"
            )
        if self.layout == "bars" and (
            self.network.vocabulary != VOCABULARY or self.network.length % BAR
        ):
            raise InputError(f"model: bars have {VOCABULARY} tokens and whole bars of {BAR}")
        process = self.network.process
        if process != "uniform" and self.loss == "ce":
            raise InputError(f"model: the {process} process is trained with elbo, not ce")
        if process == "masked" and self.means == "loo":
            raise InputError(
                "model: a masked model is a denoiser; a mask says nothing to leave out"
            )


class TokenModel:
    """A network under its process. `representation` is what its logits are."""

    def __init__(self, config: ModelConfig, network: TokenNet | None = None) -> None:
        self.config = config
        self.network = network if network is not None else TokenNet(config.network)
        self.process = TokenProcess(config.network.vocabulary)
        self.representation = Representation(config.means)
        bars = config.layout == "bars"
        self._forbidden = ~allowed_tokens(config.network.length) if bars else None

    def __call__(self, x: Tensor, t: float | Tensor) -> TokenPrediction:
        """The uniform process's prediction at noisy tokens x [B, L]."""
        return TokenPrediction(self._logits(x, t), self.representation)

    def lifted(self, state: LiftedState, t: float | Tensor) -> TokenPrediction:
        """The lift's prediction at (x, u)."""
        return TokenPrediction(self._logits(state.x, t, state.u), self.representation)

    def unmasked(self, x: Tensor, t: float | Tensor) -> Tensor:
        """The masked process's logits at x [B, L]."""
        return self._logits(x, t)

    def _logits(self, x: Tensor, t: float | Tensor, u: Tensor | None = None) -> Tensor:
        """The network's, with no chance left to tokens that may not stand at a place."""
        logits = self.network(x, _times(t, x), u)
        return logits if self._forbidden is None else logits.masked_fill(self._forbidden, -1e4)

    def bound(self, x0: Tensor, t: Tensor, generator: torch.Generator) -> Tensor:
        """Integrand of the NELBO at times t [B] for clean tokens x0 [B, L]; one noising each."""
        process = self.process
        if self.config.network.process == "lift":
            state = absorbing.noised(x0, t, process, generator)
            return absorbing.loss(self.lifted(state, t), x0, state, t, process)
        if self.config.network.process == "masked":
            x_t = masked.noised(x0, t, process, generator)
            return masked.loss(self.unmasked(x_t, t), x0, x_t, t, process)
        x_t = process.noised(x0, t, generator)
        return nelbo(self(x_t, t), x0, x_t, t, process)

    def training_loss(self, x0: Tensor, t: Tensor, generator: torch.Generator) -> Tensor:
        """What it is trained with [B, L]."""
        if self.config.loss == "elbo":
            return self.bound(x0, t, generator)
        x_t = self.process.noised(x0, t, generator)
        return cross_entropy(self(x_t, t), x0, x_t, t, self.process)

    @torch.no_grad()
    def sample(
        self,
        count: int,
        nfe: int,
        generator: torch.Generator,
        shaping: Shaping | None = None,
        corrector: Corrector | None = None,
        remask: bool = True,
    ) -> Tensor:
        """Tokens [count, L] in exactly nfe network evaluations."""
        shaping = shaping or Shaping()
        shape = (count, self.config.network.length)
        rest = (shaping.temperature, shaping.top_p)
        if self.config.network.process == "lift":
            start = absorbing.prior(self.process, shape, generator)
            return absorbing.sample(self.lifted, self.process, start, nfe, generator, remask, *rest)
        if self.config.network.process == "masked":
            return masked.sample(self.unmasked, self.process, shape, nfe, generator, *rest)
        x = self.process.prior(shape, generator)
        return sampling.sample(self, self.process, x, nfe, generator, shaping, corrector)

    def text(self, tokens: Tensor) -> str:
        """Tokens [L] as text."""
        return "".join(self.config.alphabet[token] for token in tokens.tolist())


def _times(t: float | Tensor, x: Tensor) -> Tensor:
    """t as one time a row [B]."""
    return torch.as_tensor(t, dtype=torch.float32, device=x.device).expand(len(x))


def save(model: TokenModel, folder: Path) -> None:
    """Writes config.json and network.safetensors, each whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    save_module(model.network, folder / "network.safetensors", half=True)
    write_json(folder / "config.json", asdict(model.config))


def load(folder: Path) -> TokenModel:
    """Reads a folder that `save` wrote.

    Raises:
        InputError: a file is missing or damaged, or the configuration has unknown or wrong values.
    """
    path = folder / "config.json"
    values = read_json(path)
    network = values.get("network")
    if not isinstance(network, dict):
        raise InputError(f"{path} lacks the part 'network'")
    sizes = from_dict(NetworkConfig, network, f"{path}: network")
    config = from_dict(ModelConfig, values | {"network": sizes}, str(path))
    model = TokenModel(config)
    load_into(model.network, folder / "network.safetensors")
    model.network.eval()
    return model
