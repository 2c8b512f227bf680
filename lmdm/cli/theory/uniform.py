"""`lmdm theory uniform`: fit a token model, run it, evaluate it; verify the theory exactly."""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmdm.cli import options as shared
from lmdm.cli.theory.continuous import tell_findings
from lmdm.errors import InputError
from lmdm.outputs import check_file, make_folder

if TYPE_CHECKING:
    import torch

    from lmdm.theory.models import TokenModel


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the tools."""
    tools = parser.add_subparsers(dest="tool", metavar="TOOL", required=True)
    _add_fit(tools.add_parser("fit", help="train a token model; resumable"))
    _add_run(tools.add_parser("run", help="sample text, or bars of music into a MIDI file"))
    _add_evaluate(tools.add_parser("evaluate", help="bound, leave-one-out sensitivity, samples"))
    verify = tools.add_parser(
        "verify", help="identities and laws by enumeration; exit 1 if one fails"
    )
    verify.add_argument("--exact", nargs=2, type=shared.whole(2, 4), default=[3, 3],
                        metavar=("K", "L"), help="tokens and length (3 3)")  # fmt: skip
    verify.add_argument("--seed", type=shared.whole(0, 2**31 - 1), default=0, metavar="S")
    shared.add_json(verify)
    verify.set_defaults(tool_run=run_verify)
    plot = tools.add_parser("plot", help="steps against distance of every sampler, exactly")
    plot.add_argument("--out", type=Path, required=True, metavar="DIR")
    plot.set_defaults(tool_run=run_plot)
    table = tools.add_parser("table", help="train and measure the dossier's table; resumable")
    table.add_argument("--out", type=Path, required=True, metavar="DIR")
    table.add_argument("--seeds", type=shared.whole(1, 100), default=3, metavar="N")
    table.add_argument("--steps", type=shared.whole(1, 10**6), default=2000, metavar="N")
    shared.add_json(table)
    table.set_defaults(tool_run=run_table)


def _add_fit(fit: argparse.ArgumentParser) -> None:
    fit.add_argument("--data", required=True, metavar="DATA",
                     help="a text file, a folder of MIDI files, or the word markov")  # fmt: skip
    fit.add_argument("--out", type=Path, required=True, metavar="DIR", help="the model's folder")
    fit.add_argument("--process", choices=("uniform", "lift", "masked"), default="uniform")
    fit.add_argument("--means", choices=("loo", "denoiser"), help="what the network's output is")
    fit.add_argument("--loss", choices=("elbo", "ce"), default="elbo")
    fit.add_argument("--length", type=shared.whole(1, 1024), metavar="N",
                     help="characters, or bars, of a sequence (32; 2 bars)")  # fmt: skip
    fit.add_argument("--steps", type=shared.whole(1, 10**7), default=2000, metavar="N")
    fit.add_argument("--batch", type=shared.whole(1, 4096), default=64, metavar="N")
    fit.add_argument("--width", type=shared.whole(8, 1024), default=64, metavar="N")
    fit.add_argument("--layers", type=shared.whole(1, 64), default=3, metavar="N")
    fit.add_argument("--learning-rate", type=shared.number(1e-6, 0.1), default=2e-3, metavar="R")
    fit.add_argument("--seed", type=shared.whole(0, 2**31 - 1), default=0, metavar="S")
    shared.add_json(fit)
    fit.set_defaults(tool_run=run_fit)


def _add_run(run: argparse.ArgumentParser) -> None:
    run.add_argument("--model", default="bars", metavar="M",
                     help="a model's folder, or bars: the bundled bar generator")  # fmt: skip
    run.add_argument("--out", type=Path, required=True, metavar="FILE",
                     help=".txt for text, .mid for bars")  # fmt: skip
    run.add_argument("--count", type=shared.whole(1, 4096), default=4, metavar="N",
                     help="sequences; for bars, bars that follow each other (4)")  # fmt: skip
    run.add_argument("--bpm", type=shared.number(20, 400), default=100.0, metavar="BPM")
    run.add_argument("--transpose", type=shared.whole(-11, 11), default=0, metavar="SEMITONES",
                     help="bars are in C major or A minor, moved by so much (0)")  # fmt: skip
    _add_sampling(run)
    shared.add_json(run)
    run.set_defaults(tool_run=run_run)


def _add_sampling(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--nfe", type=shared.whole(1, 4096), default=16, metavar="N",
                        help="network evaluations, correctors counted (16)")  # fmt: skip
    parser.add_argument("--temperature", type=shared.number(0.01, 10), default=1.0, metavar="T")
    parser.add_argument("--temperature-space", choices=("loo", "denoiser"), default="loo")
    parser.add_argument("--top-p", type=shared.number(0.01, 1), default=1.0, metavar="P")
    parser.add_argument("--corrector", choices=("none", "gibbs"), default="none")
    parser.add_argument("--k", type=shared.whole(1, 4096), default=12, metavar="N",
                        help="positions a sweep resamples (12)")  # fmt: skip
    parser.add_argument("--sweeps", type=shared.whole(1, 64), default=2, metavar="N")
    parser.add_argument("--select", choices=("margin", "maxprob", "current", "random"),
                        default="margin")  # fmt: skip
    parser.add_argument("--no-remask", action="store_true", help="AUDM instead of ReAUDM")
    parser.add_argument("--seed", type=shared.whole(0, 2**31 - 1), default=0, metavar="S")


def _add_evaluate(evaluate: argparse.ArgumentParser) -> None:
    evaluate.add_argument("--model", default="bars", metavar="M", help="as for run")
    evaluate.add_argument("--data", required=True, metavar="DATA", help="as for fit")
    evaluate.add_argument("--out", type=Path, metavar="DIR", help="where report.json goes")
    evaluate.add_argument("--samples", type=shared.whole(2, 4096), default=256, metavar="N")
    _add_sampling(evaluate)
    shared.add_json(evaluate)
    evaluate.set_defaults(tool_run=run_evaluate)


def run_fit(options: argparse.Namespace) -> int:
    """Trains a model, or goes on training it, and writes it with its report."""
    from lmdm.theory import corpora, evaluation, models
    from lmdm.theory.bars import BAR
    from lmdm.theory.fitting import FitConfig, fit
    from lmdm.theory.network import NetworkConfig
    from lmdm.theory.reports import write_report

    bars = Path(options.data).is_dir()
    length = options.length or (2 if bars else 32)
    tokens = corpora.read(options.data, length, options.seed)
    network = NetworkConfig(
        len(tokens.alphabet),
        length * (BAR if bars else 1),
        options.process,
        options.width,
        options.layers,
        kernel=0 if bars else 5,
    )
    means = options.means or ("denoiser" if options.process != "uniform" else "loo")
    config = models.ModelConfig(network, means, options.loss, tokens.alphabet, tokens.layout)
    fit_config = FitConfig(options.steps, options.batch, options.learning_rate, seed=options.seed)
    folder = make_folder(options.out)
    model = models.TokenModel(config)
    losses = fit(
        model, tokens.train, fit_config, folder / "training", quiet=not sys.stderr.isatty()
    )
    models.save(model, folder)
    tail = losses[-200:]
    report = {
        "data": tokens.about,
        "parameters": sum(each.numel() for each in model.network.parameters()),
        "steps": options.steps,
        "training_loss": round(sum(tail) / len(tail), 4) if tail else None,
        "nelbo": round(evaluation.bound(model, tokens.test[:1024]), 4),
    }
    write_report(folder, report)
    _tell(options, report, f"model in {folder}")
    return 0


def run_run(options: argparse.Namespace) -> int:
    """Samples."""
    import torch
    from rich.progress import track

    from lmdm.theory import bars, player
    from lmdm.theory.reports import write_text

    model = _model(options.model)
    music = model.config.layout == "bars"
    suffix = ".mid" if music else ".txt"
    if options.out.suffix != suffix:
        raise InputError(f"--out {options.out}: this model writes {suffix} files; name it so")
    check_file(options.out)
    generator = torch.Generator().manual_seed(options.seed)
    if music:
        _check_sampling(model, options)
        source = player.endless_bars(
            model, options.nfe, generator, options.temperature, options.top_p,
            remask=not options.no_remask,
        )  # fmt: skip
        some = itertools.islice(source, options.count)
        shown = track(some, "bars", options.count, disable=not sys.stderr.isatty())
        tokens = torch.stack(list(shown))
        notes = bars.notes_of(bars.transposed(tokens, options.transpose))
        bars.write_midi(notes, options.out, options.bpm)
        report = {"bars": len(tokens), "notes": len(notes), "bpm": options.bpm}
    else:
        samples = _sampled(model, options, options.count, generator)
        write_text(options.out, "".join(model.text(each) + "\n" for each in samples))
        report = {"sequences": len(samples), "nfe": options.nfe}
    _tell(options, report | {"out": str(options.out)}, f"written to {options.out}")
    return 0


def run_evaluate(options: argparse.Namespace) -> int:
    """Figures of a model on held-out data."""
    import torch

    from lmdm.theory import corpora, evaluation
    from lmdm.theory.bars import BAR
    from lmdm.theory.reports import write_report

    model = _model(options.model)
    network = model.config.network
    length = network.length // (BAR if model.config.layout == "bars" else 1)
    tokens = corpora.read(options.data, length)
    if tokens.alphabet != model.config.alphabet:
        raise InputError(f"{options.data} has other tokens than the model was trained on")
    samples = _sampled(model, options, options.samples, torch.Generator().manual_seed(options.seed))
    report: dict[str, Any] = {
        "data": tokens.about,
        "nelbo": round(evaluation.bound(model, tokens.test[:1024]), 4),
        "unigram_entropy": round(evaluation.unigram_entropy(samples, network.vocabulary), 4),
        "data_unigram_entropy": round(
            evaluation.unigram_entropy(tokens.test, network.vocabulary), 4
        ),
        "bigram_tv": round(evaluation.ngram_distance(samples, tokens.test, network.vocabulary), 4),
        "nfe": options.nfe,
    }
    if network.process == "uniform":
        report["loo_sensitivity"] = round(evaluation.loo_sensitivity(model, tokens.test[:512]), 4)
    if options.out is not None:
        write_report(options.out, report)
    _tell(options, report, "")
    return 0


def run_verify(options: argparse.Namespace) -> int:
    """The enumeration table; exit status 1 where a falsifier strikes."""
    from lmdm.theory.identities import uniform_findings

    vocabulary, length = options.exact
    return tell_findings(uniform_findings(vocabulary, length, options.seed), options.json)


def run_plot(options: argparse.Namespace) -> int:
    """Draws steps.png."""
    from lmdm.theory import plots

    folder = make_folder(options.out)
    plots.steps_against_distance(folder / "steps.png")
    print(f"written to {folder}")
    return 0


def run_table(options: argparse.Namespace) -> int:
    """Trains what is missing in the folder and prints the table; exit status 1 if a claim fails."""
    from rich.progress import track

    from lmdm.theory.reports import write_report
    from lmdm.theory.table import CELLS, TableConfig, cell, summary

    config = TableConfig(seeds=tuple(range(options.seeds)), steps=options.steps)
    wanted = [(seed, *each) for seed in config.seeds for each in CELLS]
    shown = track(wanted, "training", disable=not sys.stderr.isatty())
    rows = [cell(config, options.out, seed, means, loss) for seed, means, loss in shown]
    report = summary(config, rows)
    write_report(options.out, report)
    if options.json:
        print(json.dumps(report))
    else:
        print("means     loss  NELBO   sensitivity  bigram TV")
        for row in report["cells"]:
            print(f"{row['means']:9} {row['loss']:5} {row['nelbo']:.4f}  "
                  f"{row['loo_sensitivity']:.4f}       {row['bigram_tv']:.4f}")  # fmt: skip
        print(f"D x CE plugged in unconverted: {report['unconverted_nelbo']:.4f}; "
              f"entropy {report['entropy']:.4f}")  # fmt: skip
        for claim, found in report["claims"].items():
            print(f"{_found(claim, found)}{'holds' if found['holds'] else 'FAILS'}")
        for claim, found in report["published"].items():
            verdict = "reproduces" if found["holds"] else "does not reproduce"
            print(
                f"{_found(claim, found)}{verdict} (a published figure; the exit status ignores it)"
            )
    return 0 if all(found["holds"] for found in report["claims"].values()) else 1


def _found(claim: str, found: dict[str, Any]) -> str:
    least, most = found["over_seeds"]
    return f"{claim}: by {found['margin']:.4f} (over seeds {least:.4f} .. {most:.4f}): "


def _model(name: str) -> TokenModel:
    from lmdm.theory import models, player

    if name == "bars" and not Path(name).is_dir():
        return player.bundled()
    return models.load(Path(name))


def _check_sampling(model: TokenModel, options: argparse.Namespace) -> None:
    """Refuses what only samplers of the uniform process can do."""
    process = model.config.network.process
    for flag, value, default in (
        ("--corrector", options.corrector, "none"),
        ("--temperature-space", options.temperature_space, "loo"),
    ):
        if process != "uniform" and value != default:
            raise InputError(
                f"{flag} {value} is for models of the uniform process; this one's is {process}"
            )


def _sampled(
    model: TokenModel, options: argparse.Namespace, count: int, generator: torch.Generator
) -> torch.Tensor:
    from lmdm.diffusion.discrete.representation import Representation
    from lmdm.diffusion.discrete.sampling import Corrector, Shaping

    _check_sampling(model, options)
    space = Representation(options.temperature_space)
    shaping = Shaping(options.temperature, options.top_p, space)
    corrector = None
    if options.corrector == "gibbs":
        corrector = Corrector(options.sweeps, options.k, options.select)
    return model.sample(
        count, options.nfe, generator, shaping, corrector, remask=not options.no_remask
    )


def _tell(options: argparse.Namespace, report: dict[str, Any], line: str) -> None:
    if options.json:
        print(json.dumps(report))
        return
    for key, value in report.items():
        print(f"{key.replace('_', ' '):22} {value}")
    if line:
        print(line)
