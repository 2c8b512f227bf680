"""The planner: shapes of the four stages, actions of equal budget, and the choice (§2)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lmdm.errors import InputError

Shape = tuple[int, int, int]  # frames, rows, columns of latents
SPATIAL = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)  # rates of stage 2 to choose from
SKETCH_SPATIAL, SKETCH_TEMPORAL = 0.5, 0.8  # of stage 1; the latter times the budget
TOLERANCE = 0.02  # of the density
LARGEST = 10_000  # frames, rows or columns


@dataclass(frozen=True)
class BudgetConfig:
    """What is fixed before a video is begun. Values out of range raise InputError.

    shape: the full latent grid. budget: wanted mean of the stages' tokens over the full grid's.
    transitions: shares of the steps after which the grid grows. alpha: sharpness of the shares.
    unit: rows and columns of the smaller stages are multiples of it (a network's patch).
    """

    shape: Shape
    steps: int = 50
    budget: float = 0.5
    transitions: tuple[float, float, float] = (0.28, 0.50, 0.72)
    shifts: tuple[float, float, float, float] = (7.0, 9.0, 11.0, 11.0)
    alpha: float = 2.6
    unit: int = 1

    def __post_init__(self) -> None:
        if min(self.shape) < 1 or self.unit < 1 or min(self.shape[1:]) < 2 * self.unit:
            raise InputError(
                f"the grid {'x'.join(map(str, self.shape))} is too small to be made smaller"
            )
        if max(self.shape) > LARGEST:
            raise InputError(f"a grid has at most {LARGEST} frames, rows and columns")
        rising = [0.0, *self.transitions, 1.0]
        bounds = self.boundaries
        if sorted(rising) != rising or not 0 < bounds[0] < bounds[1] < bounds[2] < self.steps:
            raise InputError(
                f"transitions {self.transitions} of {self.steps} steps leave a stage without one"
            )
        if not 0 < self.budget <= 1 or min(self.shifts) <= 0:
            raise InputError("a budget lies in 0..1 and shifts above 0")

    @property
    def boundaries(self) -> tuple[int, int, int]:
        """The step at whose end each transition is made: int(n share)."""
        first, second, third = (int(self.steps * share) for share in self.transitions)
        return first, second, third

    @property
    def stage_steps(self) -> tuple[int, int, int, int]:
        """Steps that the density counts for each stage: 14, 11, 11, 14 of 50."""
        a, b, c = self.boundaries
        return a, b - a, c - b, self.steps - c

    @property
    def sketch_frames(self) -> int:
        """T_1."""
        return max(1, min(self.shape[0], round(SKETCH_TEMPORAL * self.budget * self.shape[0])))


@dataclass(frozen=True)
class Action:
    """What the planner chooses: spatial rate of stage 2, frames of stages 2 and 3."""

    spatial: float
    frames: int


def stage_shapes(config: BudgetConfig, action: Action) -> tuple[Shape, Shape, Shape, Shape]:
    """Grids of the four stages: sizes never fall, and the last is the full one."""
    frames, rows, columns = config.shape

    def side(rate: float, size: int) -> int:
        return max(config.unit, round(rate * size) // config.unit * config.unit)

    first = (
        config.sketch_frames, side(SKETCH_SPATIAL, rows), side(SKETCH_SPATIAL, columns),
    )  # fmt: skip
    middle = max(first[0], min(frames, action.frames))
    second = (
        middle, max(first[1], side(action.spatial, rows)),
        max(first[2], side(action.spatial, columns)),
    )  # fmt: skip
    third = (middle, max(second[1], side(1.0, rows)), max(second[2], side(1.0, columns)))
    return first, second, third, config.shape


def density(config: BudgetConfig, action: Action) -> float:
    """Sum over stages of tokens times steps, over those of the full grid at every step."""
    spent = sum(
        math.prod(shape) * steps
        for shape, steps in zip(stage_shapes(config, action), config.stage_steps, strict=True)
    )
    return spent / (math.prod(config.shape) * config.steps)


def candidates(config: BudgetConfig) -> list[Action]:
    """All actions whose density is within TOLERANCE of the budget.

    Raises:
        InputError: there is none; the sentence says which budgets there are.
    """
    found = _within(config)
    if not found:
        low, high = valid_budgets(config)
        raise InputError(
            f"no plan spends a budget of {config.budget:g} on the grid "
            f"{'x'.join(map(str, config.shape))} in {config.steps} steps; budgets from {low:.2f} "
            f"to {high:.2f} can be spent"
        )
    return found


def _within(config: BudgetConfig) -> list[Action]:
    actions = (
        Action(spatial, frames)
        for spatial in SPATIAL
        for frames in range(config.sketch_frames, config.shape[0] + 1)
    )
    return [a for a in actions if abs(density(config, a) - config.budget) <= TOLERANCE + 1e-12]


def valid_budgets(config: BudgetConfig) -> tuple[float, float]:
    """The least and the largest budget, in hundredths, that some action spends.

    Raises:
        InputError: none at all can be spent.
    """
    valid = [b / 100 for b in range(1, 101) if _within(replace(config, budget=b / 100))]
    if not valid:
        raise InputError("no budget can be spent on this grid; it is too small")
    return valid[0], valid[-1]


def shares(spatial: float, temporal: float, alpha: float) -> tuple[float, float]:
    """d_s = e^(alpha m_s) / (e^(alpha m_s) + e^(alpha m_t)), and d_t = 1 - d_s."""
    share = 1 / (1 + math.exp(alpha * (temporal - spatial)))
    return share, 1 - share


def scores(actions: Sequence[Action], spatial: float, temporal: float, alpha: float) -> list[float]:
    """-(G_s - d_s)^2 / 2 - (G_t - d_t)^2 / 2 of every action.

    The gains G are s_2^2 and T_23, min-max normalised over the actions that are given.
    """
    d_s, d_t = shares(spatial, temporal, alpha)
    gains_s = _normalised([action.spatial**2 for action in actions])
    gains_t = _normalised([float(action.frames) for action in actions])
    return [
        -0.5 * (g_s - d_s) ** 2 - 0.5 * (g_t - d_t) ** 2
        for g_s, g_t in zip(gains_s, gains_t, strict=True)
    ]


def _normalised(values: list[float]) -> list[float]:
    low, high = min(values), max(values)
    return [(value - low) / (high - low) if high > low else 0.0 for value in values]


Choose = Callable[[BudgetConfig, float, float], Action]


def planned(config: BudgetConfig, spatial: float, temporal: float) -> Action:
    """The best-scored action for demands m_s, m_t; of equals the first."""
    actions = candidates(config)
    each = scores(actions, spatial, temporal, config.alpha)
    return actions[each.index(max(each))]


def median_action(config: BudgetConfig) -> Action:
    """The middle of the candidates in order of their spatial rate: a fixed plan to compare with."""
    actions = sorted(candidates(config), key=lambda a: (a.spatial, -a.frames))
    return actions[len(actions) // 2]


def random_action(config: BudgetConfig, seed: int) -> Action:
    """Any candidate."""
    actions = candidates(config)
    return actions[int(np.random.default_rng(seed).integers(len(actions)))]


def speed_ups(config: BudgetConfig, action: Action) -> tuple[float, float]:
    """How much less work the network has: tokens counted once, and squared as attention does."""
    full = math.prod(config.shape)
    linear = quadratic = 0.0
    for shape, steps in zip(stage_shapes(config, action), config.stage_steps, strict=True):
        share = math.prod(shape) / full
        linear += share * steps / config.steps
        quadratic += share**2 * steps / config.steps
    return 1 / linear, 1 / quadratic
