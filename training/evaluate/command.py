"""`lmdm train evaluate`: everything that is measured of a model, beside real sound.

OUT/report.json, report.md, *.png   the figures, as text, as pictures
OUT/rows/, OUT/parts/               figures as soon as they are there: a call goes on, or adds rows
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import torch

from lmdm.checkpoints import Model, load
from lmdm.config import read_json, write_json
from lmdm.errors import InputError
from lmdm.live.controls import Controls
from lmdm.weights import write_beside
from training.data.shards import Manifest, read_manifest
from training.evaluate import accompaniment, controls, prompts, report
from training.evaluate.codec import evaluate_codecs
from training.evaluate.figures import Judges
from training.evaluate.pieces import SAMPLE_RATE, Piece
from training.evaluate.rollouts import Rollouts, Variant, kept, read_rows
from training.evaluate.sources import held_out

SHORTEST_PIECE = 8.0  # s; shorter rollouts want a piece as long as they are
PARTS = {  # what each part of a report is made from
    "rollouts": ("--pieces",),
    "codec": ("--pieces",),
    "controls": ("--latents",),
    "accompaniment": ("--latents",),
    "prompts": ("--pieces", "--latents"),
}


@dataclass(frozen=True)
class Plan:
    """What is measured. Unless told otherwise, a model is played as the instrument plays it.

    after: the model after ARC-Forcing, or none. parts: of `PARTS`; empty is all that the folders
    given are enough for. Empty strategies, samplers and steps keep the model's own, guidance the
    instrument's.
    """

    before: str
    after: str | None
    out: Path
    source: Path | None  # held-out music
    latents: Path | None  # the same, encoded
    recorded: Path | None = None  # recordings, for the codec
    parts: tuple[str, ...] = ()
    strategies: tuple[str, ...] = ()
    samplers: tuple[str, ...] = ()
    steps: tuple[int, ...] = ()
    guidance: tuple[float, ...] = ()
    seconds: float = 120.0
    window: float = 20.0
    pieces: int = 10
    seeds: int = 1
    primed: bool = False  # starts from real music beside cold ones
    harmony: bool = False  # chords heard against those asked
    threads: int = 1


def parts_of(plan: Plan) -> tuple[str, ...]:
    """The parts that are measured: those asked for, else all that the folders are enough for.

    Raises:
        InputError: a folder that is needed is missing.
    """
    folders = {"--pieces": plan.source, "--latents": plan.latents}
    missing = {
        part: next((flag for flag in needed if folders[flag] is None), None)
        for part, needed in PARTS.items()
    }
    for part in plan.parts:
        if missing[part]:
            raise InputError(f"{missing[part]} is needed for the part {part}")
    chosen = plan.parts or tuple(part for part in PARTS if not missing[part])
    if not chosen:
        raise InputError("give --pieces or --latents: held-out music, or the same encoded")
    return chosen


def variants(plan: Plan, model: Model) -> list[Variant]:
    """{before, after} x strategies x samplers x guidance x K x {cold, primed}.

    Raises:
        InputError: a strategy or sampler is not known.
    """
    own = model.stream_config
    found = [
        Variant(*each)
        for each in product(
            ("before", "after") if plan.after else ("before",),
            plan.strategies or (own.strategy,),
            plan.samplers or (own.sampler,),
            plan.steps or (own.steps,),
            plan.guidance or (Controls.guidance,),
            (False, True) if plan.primed else (False,),
        )
    ]
    for each in found:
        replace(own, strategy=each.strategy, sampler=each.sampler)
    return found


def evaluate(plan: Plan) -> dict[str, Any]:
    """Measures what is not measured yet; returns the report, of all that the folder holds.

    Raises:
        InputError: the models or the music cannot be used.
    """
    parts = parts_of(plan)
    torch.set_num_threads(plan.threads)
    models = {"before": load(plan.before)}
    if plan.after:
        models["after"] = load(plan.after)
    manifest = None if plan.latents is None else read_manifest(plan.latents)
    played = variants(plan, models["before"])
    found: dict[str, Any] = {
        stage: None if stage not in models
        else {"name": models[stage].name, "sha256": models[stage].sha256}
        for stage in ("before", "after")
    }  # fmt: skip
    found["left_out"] = {}
    pieces: list[Piece] = []
    judges = Judges.installed(plan.harmony)
    if plan.source is not None:
        first = models["before"]
        context = first.stream_config.context_frames * first.codec.frame_samples
        shortest = min(plan.seconds, SHORTEST_PIECE) + context / SAMPLE_RATE
        pieces, split = held_out(plan.source, plan.pieces, shortest)
        found |= {"pieces": [piece.name for piece in pieces], "split": split}
        found |= {"seconds": plan.seconds, "window_seconds": plan.window, "seeds": plan.seeds}
        found |= judges.names() | {"guidance_parallel": Controls.guidance_parallel}
    found = begin(plan.out, found)
    if "rollouts" in parts:
        assert plan.source is not None
        bench = Rollouts(
            plan.out, models, pieces, plan.source, judges, plan.seconds, plan.window, plan.seeds
        )
        bench.measure(played)
    measures = _measures(plan, models["before"], manifest, pieces, judges)
    for part in parts:
        if part == "rollouts":
            continue
        try:
            kept(plan.out / "parts" / f"{part}.json", measures[part])
        except InputError as problem:
            if part in plan.parts:
                raise
            found["left_out"][part] = str(problem)
    found |= read_rows(plan.out)
    found |= {path.stem: read_json(path) for path in sorted((plan.out / "parts").glob("*.json"))}
    write_json(plan.out / "report.json", found)
    write_beside(plan.out / "report.md", lambda part: part.write_text(report.markdown(found)))
    report.pictures(found, plan.out)
    return found


def _measures(
    plan: Plan,
    model: Model,
    manifest: Manifest | None,
    pieces: list[Piece],
    judges: Judges,
) -> dict[str, Callable[[], dict[str, Any]]]:
    """How the parts besides rollouts are measured, as far as there are folders for them."""
    found: dict[str, Callable[[], dict[str, Any]]] = {}
    source = plan.source
    if source is not None:
        found["codec"] = lambda: evaluate_codecs(model.codec, pieces, plan.recorded, plan.out)
    if manifest is not None:
        found["controls"] = lambda: controls.evaluate(model, manifest)
        found["accompaniment"] = lambda: accompaniment.evaluate(model, manifest)
    if source is not None and manifest is not None:
        found["prompts"] = lambda: prompts.evaluate(model, judges.embedding, source, manifest)
    return found


def begin(out: Path, facts: dict[str, Any]) -> dict[str, Any]:
    """The facts, with what is known of figures that are there already: these must be of the same
    models, music and judges.

    A model after ARC-Forcing, or music, may be added later.

    Raises:
        InputError: they are of others.
    """
    out.mkdir(parents=True, exist_ok=True)
    path = out / "question.json"
    known: dict[str, Any] = {}
    if path.exists():  # one that does not say it is older than projected guidance
        known = {"guidance_parallel": 1.0} | read_json(path)
    for name, value in known.items():
        if value and facts.get(name) and facts[name] != value:
            raise InputError(f"{out} holds figures of other {name}; give another --out")
    known |= {name: value for name, value in facts.items() if value}
    write_json(path, known)
    return facts | known
