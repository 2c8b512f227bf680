"""The program answers lightly, and says what is wrong in one line."""

import json
import subprocess
import sys

import pytest

from lmdm.cli.main import COMMANDS, main
from lmdm.cli.options import parse_prompt


def test_help_loads_nothing_heavy():
    code = (
        "import sys\n"
        "from lmdm.cli.main import main\n"
        "assert main(['--help']) == 0 and main(['live', '--help']) == 0\n"
        "heavy = {'torch', 'numpy', 'PyQt6', 'onnxruntime', 'sounddevice', 'rtmidi', 'mido'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
    for command in COMMANDS:
        assert command in done.stdout


@pytest.mark.parametrize("command", [[name] for name in COMMANDS] + [["bench", "engine"]])
def test_every_command_has_help(command, capsys):
    assert main([*command, "--help"]) == 0
    assert "usage: lmdm" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["sing"], "sing"),
        (["render"], "--out"),
        (["render", "--out", "x.wav", "--loud"], "--loud"),
        (["render", "--out", "x.wav", "--seconds", "soon"], "soon"),
        (["render", "--out", "x.wav", "--seconds", "-1"], "-1"),
        (["render", "--out", "x.wav", "--seconds", "nan"], "nan"),
        (["render", "--out", "x.wav", "--steps", "0"], "0"),
        (["live", "--lead", "99"], "99"),
        (["bench"], "required"),
        (["models", "sell"], "sell"),
    ],
)
def test_a_bad_flag_is_one_line_and_status_2(arguments, said, capsys):
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert printed.err.startswith("lmdm: ")
    assert said in printed.err


def test_no_command_shows_what_there_is(capsys):
    assert main([]) == 0
    assert "render" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "prompt"),
    [
        ("felt piano:0.7", ("felt piano", 0.7)),
        ("felt piano", ("felt piano", 1.0)),
        ("op. 1: a piano", ("op. 1: a piano", 1.0)),
        (":2", ("", 2.0)),
    ],
)
def test_prompts_have_weights(text, prompt):
    assert parse_prompt(text) == prompt


def test_models_are_listed_and_described(tiny_model, capsys):
    assert main(["models", "list", "--json"]) == 0
    assert "starter" in [each["name"] for each in json.loads(capsys.readouterr().out)]
    assert main(["models", "info", str(tiny_model), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["parameters"] == facts["dit parameters"] + facts["codec parameters"]
    assert facts["controls"] == ["notes", "beat", "chord", "loudness", "drums"]
    assert len(facts["sha256"]) == 64
    assert main(["models", "info", str(tiny_model), "--tensors"]) == 0
    assert "to_qkv" in capsys.readouterr().out


def test_the_hash_is_that_of_the_loaded_model(tiny_model):
    from lmdm.checkpoints import load
    from lmdm.cli.models import describe

    assert describe(str(tiny_model))["sha256"] == load(tiny_model).sha256
