"""`lmdm safety piu`: cluster, choose an anchor, unlearn, measure, compare."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmdm.cli import options as shared
from lmdm.errors import InputError
from lmdm.outputs import check_folder

if TYPE_CHECKING:
    from lmdm.safety.piu.identities import Anchor, Identities, Split

SCOPES = ("surgical", "cross-attention", "full")
BASELINES = ("uce", "siss")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the actions."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    cluster = _action(actions, "cluster", "group face embeddings into identities")
    cluster.add_argument("--embeddings", type=Path, required=True, help=".npy or .safetensors")
    cluster.add_argument("--eps", type=shared.number(1e-6, 2), default=0.35, help="(0.35)")
    cluster.add_argument("--min-samples", type=shared.whole(1, 10**6), default=2, help="(2)")
    cluster.add_argument("--out", type=Path, required=True, help="identities, .safetensors")
    cluster.set_defaults(out_suffixes=(".safetensors",))
    listing = _action(actions, "anchors", "the identities that could take the target's place")
    _target(listing)
    unlearn = _action(actions, "unlearn", "fit a student that forgets the target")
    _target(unlearn)
    _model(unlearn)
    unlearn.add_argument(
        "--forget-sampling", choices=("dirichlet", "individual", "centroid"), default="dirichlet"
    )
    unlearn.add_argument("--eta", type=shared.number(-100, 100), default=1.0, help="η (1)")
    unlearn.add_argument("--lam", type=shared.number(0, 10**6), default=10.0, help="λ (10)")
    unlearn.add_argument("--scope", choices=SCOPES, default="surgical")
    unlearn.add_argument("--steps", type=shared.whole(1, 10**6), default=400, help="(400)")
    unlearn.add_argument("--batch", type=shared.whole(1, 4096), default=16, help="(16)")
    unlearn.add_argument("--accumulation", type=shared.whole(1, 4096), default=2, help="(2)")
    unlearn.add_argument("--rate", type=shared.number(1e-9, 1), default=1e-4, help="(1e-4)")
    unlearn.add_argument("--reason", default="", help="why; kept in run.json")
    unlearn.add_argument("--out", type=Path, required=True, metavar="DIR")
    evaluate = _action(actions, "evaluate", "figures and grids of a finished run")
    _model(evaluate)
    evaluate.add_argument("--identities", type=Path, required=True, metavar="FILE")
    evaluate.add_argument("folder", type=Path, help="what unlearn or baseline wrote")
    evaluate.add_argument("--samples", type=shared.whole(2, 10**5), default=25, help="(25)")
    baseline = _action(actions, "baseline", "the same target by another method")
    baseline.add_argument("method", choices=BASELINES)
    _target(baseline)
    _model(baseline)
    baseline.add_argument("--images", type=Path, help="folder of face images, one a row (siss)")
    baseline.add_argument("--out", type=Path, required=True, metavar="DIR")
    report = _action(actions, "report", "one table of several evaluated runs")
    report.add_argument("runs", type=Path, nargs="+", metavar="DIR")
    report.add_argument("--out", type=Path, required=True, metavar="DIR")
    faces = _action(actions, "faces", "train the model of drawn faces, and embed a gallery")
    faces.add_argument("--out", type=Path, required=True, metavar="DIR")
    faces.add_argument("--steps", type=shared.whole(1, 10**6), default=5000, help="(5000)")
    experiment = _action(actions, "experiment", "the table of what each part of PIU does")
    experiment.add_argument("--out", type=Path, required=True, metavar="DIR")
    experiment.add_argument("--targets", type=shared.whole(1, 100), default=3, help="(3)")
    music = _action(actions, "music", "forget a style of the instrument's own model")
    music.add_argument("--style", default="chiptune", help="(chiptune)")
    music.add_argument("--model", default="starter", metavar="M", help="(starter)")
    music.add_argument("--out", type=Path, required=True, metavar="DIR")


def _action(actions: Any, name: str, summary: str) -> argparse.ArgumentParser:
    added = actions.add_parser(name, help=summary, description=f"{summary.capitalize()}.")
    assert isinstance(added, argparse.ArgumentParser)
    shared.add_json(added)
    return added


def _target(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--identities", type=Path, required=True, metavar="FILE")
    parser.add_argument("--target", type=shared.whole(0, 10**9), required=True, metavar="ID")
    parser.add_argument("--tau", type=shared.number(-1, 1), default=0.2, help="cosine (0.2)")
    parser.add_argument("--tolerance", type=shared.number(0, 2), default=0.01, help="(0.01)")
    parser.add_argument("--seed", type=shared.whole(0, 2**31 - 1), default=42, help="(42)")


def _model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model",
        type=Path,
        required=True,
        help="a folder: a model of drawn faces, or an Arc2Face pipeline",
    )
    parser.add_argument("--arcface", type=Path, help="Arc2Face's recogniser, .onnx")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Runs one action; what came of it."""
    actions = {
        "cluster": _cluster,
        "anchors": _anchors,
        "unlearn": _unlearn,
        "evaluate": _evaluate,
        "baseline": _baseline,
        "report": _report,
        "faces": _faces,
        "experiment": _experiment,
        "music": _music,
    }
    return actions[options.action](options)


def _load(options: argparse.Namespace) -> tuple[Any, Any]:
    """The model and its scopes."""
    from lmdm.safety.piu import face_model, scope
    from lmdm.safety.piu.arc2face import Arc2Face, OnnxRecogniser

    folder: Path = options.model
    if (folder / "model.safetensors").exists():
        return face_model.load(folder), scope.FACES
    if not (folder / "unet").is_dir():
        raise InputError(f"{folder} is neither a model of drawn faces nor an Arc2Face pipeline")
    if options.arcface is None:
        raise InputError("an Arc2Face pipeline needs its recogniser; give --arcface arcface.onnx")
    return Arc2Face.load(folder, OnnxRecogniser(options.arcface)), scope.STABLE_DIFFUSION


def _chosen(options: argparse.Namespace) -> tuple[Identities, Split, Anchor]:
    from lmdm.safety.piu.identities import choose_anchor, load_identities, split

    identities = load_identities(options.identities)
    chosen = split(identities, options.target, options.seed)
    anchor = choose_anchor(identities, chosen, options.tau, options.tolerance, options.seed)
    return identities, chosen, anchor


def _cluster(options: argparse.Namespace) -> dict[str, Any]:
    import numpy as np

    from lmdm.safety.piu.identities import cluster, read_embeddings, save_identities

    found = cluster(read_embeddings(options.embeddings), options.eps, options.min_samples)
    save_identities(found, options.out)
    sizes = np.bincount(found.labels)
    return {
        "images": len(found.labels),
        "identities": len(sizes),
        "of one image": int((sizes == 1).sum()),
        "largest": int(sizes.max()),
        "file": str(options.out),
    }


def _anchors(options: argparse.Namespace) -> dict[str, Any]:
    from lmdm.safety.piu.identities import anchors, load_identities, split

    identities = load_identities(options.identities)
    chosen = split(identities, options.target, options.seed)
    found = anchors(identities, chosen, options.tau, options.tolerance)
    nearest, cosine = identities.nearest(options.target)
    return {
        "anchors": [[each.identity, round(each.cosine, 4)] for each in found],
        "nearest other identity": [nearest, round(cosine, 4)],
    }


def _unlearn(options: argparse.Namespace) -> dict[str, Any]:
    from lmdm.safety.piu.unlearning import Settings, unlearn

    identities, chosen, anchor = _chosen(options)
    model, scopes = _load(options)
    settings = Settings(
        forget_sampling=options.forget_sampling,
        eta=options.eta,
        lam=options.lam,
        scope=options.scope,
        steps=options.steps,
        batch=options.batch,
        accumulation=options.accumulation,
        rate=options.rate,
        seed=options.seed,
    )
    reason = options.reason
    unlearn(model, identities, chosen, anchor, settings, scopes, options.out, reason)
    return {"run": str(options.out), "anchor": anchor.identity, "cosine": round(anchor.cosine, 4)}


def _evaluate(options: argparse.Namespace) -> dict[str, Any]:
    from dataclasses import asdict

    from lmdm.safety.piu.identities import load_identities, load_split
    from lmdm.safety.piu.report import Examination, write_report
    from lmdm.safety.piu.unlearning import changed, read_run

    check_folder(options.folder)
    identities = load_identities(options.identities)
    facts, anchor = read_run(options.folder)
    chosen = load_split(options.folder / "split.json", identities)
    model, _ = _load(options)
    student = changed(model.denoiser, options.folder)
    examination = Examination(model, identities, chosen, anchor, options.samples, chosen.seed)
    rows = {
        "original": examination.figures(model.denoiser),
        str(facts.get("method", "PIU")): examination.figures(student),
    }
    examination.grid(student, options.folder / "grid.png")
    write_report(options.folder, rows, facts)
    return {name: asdict(row) for name, row in rows.items()}


def _baseline(options: argparse.Namespace) -> dict[str, Any]:
    import torch

    from lmdm.config import begin
    from lmdm.safety.piu import baselines
    from lmdm.safety.piu.unlearning import difference, save_changes

    identities, chosen, anchor = _chosen(options)
    model, _ = _load(options)
    embeddings = torch.tensor(identities.embeddings, dtype=torch.float32)
    centroids = torch.tensor(identities.centroids, dtype=torch.float32)
    images = (
        _latents_of_images(options, model, len(embeddings)) if options.method == "siss" else None
    )
    options.out.mkdir(parents=True, exist_ok=True)
    facts = {
        "method": options.method.upper(),
        "target": chosen.target,
        "anchor": {"identity": anchor.identity, "cosine": anchor.cosine},
    }
    begin(options.out / "run.json", facts)
    chosen.save(options.out / "split.json")
    if images is None:
        student = baselines.uce(
            model.denoiser,
            model.condition,
            embeddings[list(chosen.forget_train)],
            centroids[anchor.identity],
            centroids[list(chosen.retain_train[:20])],
        )
    else:
        kept = [
            index for index, label in enumerate(identities.labels) if label in chosen.retain_train
        ]
        gone = list(chosen.forget_train)
        student = baselines.siss(
            model, images[gone], embeddings[gone], images[kept], embeddings[kept], options.out
        )
    save_changes(difference(model.denoiser, student), options.out)
    return {"run": str(options.out), "method": facts["method"]}


def _latents_of_images(options: argparse.Namespace, model: Any, count: int) -> Any:
    from lmdm.safety.piu.pictures import read_pictures

    if options.images is None:
        raise InputError("siss learns from images: give --images, one a row of the embeddings")
    pictures = read_pictures(options.images, model.image_size)
    if len(pictures) != count:
        raise InputError(
            f"{options.images} holds {len(pictures)} images, but there are {count} embeddings; "
            "in order of name there must be one a row"
        )
    return model.encode(pictures)


def _report(options: argparse.Namespace) -> dict[str, Any]:
    from lmdm.safety.piu.metrics import Figures
    from lmdm.safety.piu.report import write_report

    rows: dict[str, Figures] = {}
    for folder in options.runs:
        path = folder / "report.json"
        try:
            found = json.loads(path.read_text())["figures"]
            for name, values in found.items():
                key = name if name == "original" else f"{folder.name}: {name}"
                rows.setdefault(key, Figures(**values))
        except (OSError, ValueError, KeyError, TypeError):
            raise InputError(f"{path} is not a report; run evaluate on {folder} first") from None
    options.out.mkdir(parents=True, exist_ok=True)
    write_report(options.out, rows, {"runs": [str(folder) for folder in options.runs]})
    return {"rows": len(rows), "table": str(options.out / "report.md")}


def _faces(options: argparse.Namespace) -> dict[str, Any]:
    from safetensors.numpy import save_file

    from lmdm.safety.piu.experiment import pictures
    from lmdm.safety.piu.face_model import FaceConfig, train
    from lmdm.safety.piu.pictures import write_pictures
    from lmdm.weights import write_beside

    model = train(options.out, FaceConfig(denoiser_steps=options.steps))
    faces, embeddings, _ = pictures(model)
    path = options.out / "embeddings.safetensors"
    write_beside(path, lambda part: save_file({"embeddings": embeddings}, part))
    write_pictures(faces, options.out / "gallery")
    return {"model": str(options.out), "embeddings": str(path), "images": len(embeddings)}


def _experiment(options: argparse.Namespace) -> dict[str, Any]:
    from lmdm.safety.piu.experiment import experiment

    report = experiment(options.out, targets=options.targets)
    return {"table": str(options.out / "report.md"), **report["figures"]}


def _music(options: argparse.Namespace) -> dict[str, Any]:
    from lmdm.safety.piu.music_experiment import experiment

    return experiment(options.out, options.style, options.model)
