"""A recipe that is trained in a second, and the command line as a user types it."""

from pathlib import Path

from typer.testing import CliRunner, Result

from cxrloc.cli import app

TINY_RECIPE = """
title = "Tiny"
[data]
reader = "chestxray14"
[data.split]
{split}
ratios = [0.5, 0.2, 0.3]
[preprocessing]
size = 32
[network]
backbone = "small_resnet"
findings = ["Effusion", "Mass"]
transition_channels = 4
[fit]
batch_size = 4
steps = 1
frozen_normalisation = true
[fit.schedule]
learning_rate = 1e-3
"""


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])
