"""The sampling loop over all windows at one noise level, step by step (dossier §2, §3).

All variants share the loop, so a comparison differs in one thing only:

    flowlong   global Tweedie matching; stochastic (one noise) while t >= t*, then deterministic
    ode, sde   the same with no, or only, stochastic steps
    xt         each window steps by itself, with its own noise; the noisy windows are blended
    own-noise  matched clean estimates, but every window is renoised by itself and keeps its state
    indep      windows know nothing of each other; the finished ones are crossfaded
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from lmdm.diffusion.path import denoised, interpolate
from lmdm.errors import InputError
from lmdm.video.flowlong.geometry import WindowGeometry
from lmdm.video.flowlong.matching import aggregate, deterministic_step, mismatch, windows_of

VARIANTS = ("flowlong", "ode", "sde", "xt", "own-noise", "indep")

# velocity of windows [k, C, F, ...] at time t; the indices say which windows of the K they are
WindowNetwork = Callable[[Tensor, float, range], Tensor]


@dataclass(frozen=True)
class FlowLongConfig:
    """How a long video is sampled. Values out of range raise InputError.

    t_star: the noise level (not a share of the steps) down to which steps are stochastic.
    shared_init: start the windows from one noise over the timeline rather than from their own. The
    variant "ode" always does: blended independent noise would be too weak where windows overlap.
    microbatch: windows passed to the network at once; 0 is all of them.
    """

    variant: str = "flowlong"
    t_star: float = 0.6
    seed: int = 0
    shared_init: bool = False
    microbatch: int = 0

    def __post_init__(self) -> None:
        if self.variant not in VARIANTS:
            raise InputError(
                f"there is no variant {self.variant!r}; the variants are {', '.join(VARIANTS)}"
            )
        if not 0 <= self.t_star <= 1:
            raise InputError(f"t_star is {self.t_star:g}; it is a noise level from 0 to 1")
        if self.microbatch < 0:
            raise InputError(f"microbatch is {self.microbatch}; it cannot be below 0")

    def stochastic(self, t: float) -> bool:
        """Whether the step that leaves t renoises."""
        if self.variant in ("ode", "indep"):
            return False
        return self.variant == "sde" or t >= self.t_star


@dataclass(frozen=True)
class StepReport:
    """What one step did: noise levels, branch, and how far neighbours were apart.

    before: disagreement of the windows' clean estimates; after: of the windows that go on.
    """

    t: float
    t_next: float
    branch: str
    before: float
    after: float


@dataclass(frozen=True)
class WindowState:
    """Everything between two steps. `step` steps are done.

    windows [K, C, F, ...]; timeline [C, N, ...] is the shared state, None where windows do not
    share one (before the first step, and in "own-noise" and "indep"). clean [C, N, ...]: the last
    step's matched estimate of the clean video, None before the first.
    """

    step: int
    windows: Tensor
    timeline: Tensor | None
    reports: tuple[StepReport, ...] = field(default=())
    clean: Tensor | None = None


def noise_like(shape: Sequence[int], seed: int, step: int) -> Tensor:
    """The Gaussian noise of one step: a function of seed and step, so a resumed run goes on."""
    generator = torch.Generator().manual_seed((seed * 1_000_003 + step) % 2**63)
    return torch.randn(tuple(shape), generator=generator)


def begin(shape: Sequence[int], geometry: WindowGeometry, config: FlowLongConfig) -> WindowState:
    """Pure noise. shape: [C, F, ...] of one window."""
    timeline_shape = (shape[0], geometry.timeline, *shape[2:])
    if config.shared_init or config.variant == "ode":
        timeline = noise_like(timeline_shape, config.seed, 0)
        return WindowState(0, windows_of(timeline, geometry), timeline)
    windows = noise_like((geometry.windows, *shape), config.seed, 0)
    return WindowState(0, windows, None)


def velocities(network: WindowNetwork, windows: Tensor, t: float, microbatch: int) -> Tensor:
    """The velocity of every window, `microbatch` of them at a time."""
    size = microbatch or len(windows)
    parts = [
        network(windows[at : at + size], t, range(at, min(at + size, len(windows))))
        for at in range(0, len(windows), size)
    ]
    return torch.cat(parts)


def step(
    network: WindowNetwork,
    state: WindowState,
    t: float,
    t_next: float,
    geometry: WindowGeometry,
    config: FlowLongConfig,
) -> WindowState:
    """One step from t to t_next of all windows.

    The velocity comes back in whatever precision; matching is done in that of the state.
    """
    v = velocities(network, state.windows, t, config.microbatch).to(state.windows)
    return matched_step(v, state, t, t_next, geometry, config)


def matched_step(
    v: Tensor,
    state: WindowState,
    t: float,
    t_next: float,
    geometry: WindowGeometry,
    config: FlowLongConfig,
) -> WindowState:
    """One step, given the (guided) velocities [K, C, F, ...] of the windows."""
    stochastic = config.stochastic(t)
    x0 = denoised(state.windows, v, t)
    clean = aggregate(x0, geometry)
    number = state.step + 1

    def moved(held: Tensor, target: Tensor) -> Tensor:
        """What is held at t, at t_next around its clean target."""
        if t_next == 0:
            return target
        if stochastic:
            noise = noise_like(target.shape, config.seed, number).to(target)
            return interpolate(target, noise, t_next)
        return deterministic_step(held, target, t, t_next)

    timeline: Tensor | None = None
    if config.variant in ("flowlong", "ode", "sde"):
        timeline = state.timeline
        if timeline is None:  # before the first step
            timeline = aggregate(state.windows, geometry)
        timeline = moved(timeline, clean)
        windows = windows_of(timeline, geometry)
    else:
        target = windows_of(clean, geometry) if config.variant == "own-noise" else x0
        windows = moved(state.windows, target)
        if config.variant == "xt" or t_next == 0:
            timeline = aggregate(windows, geometry)
            windows = windows_of(timeline, geometry)
    report = StepReport(
        t,
        t_next,
        "stochastic" if stochastic else "deterministic",
        mismatch(x0, geometry),
        mismatch(windows, geometry),
    )
    return WindowState(number, windows, timeline, (*state.reports, report), clean)


def sample(
    network: WindowNetwork,
    state: WindowState,
    timesteps: Sequence[float],
    geometry: WindowGeometry,
    config: FlowLongConfig,
) -> Iterator[WindowState]:
    """Yields the state after every step that is left of `timesteps` (falling, to 0).

    The last one's `timeline` is the video. A state may be kept and gone on from.
    """
    for index in range(state.step, len(timesteps) - 1):
        state = step(network, state, timesteps[index], timesteps[index + 1], geometry, config)
        yield state
