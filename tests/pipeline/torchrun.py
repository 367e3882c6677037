"""`torchrun` as the README writes it, with processes on this machine's CPU in place of GPUs."""

import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"


def torchrun(processes: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The end of a command of cxrloc that several processes run together."""
    (line,) = re.findall(r"`torchrun --nproc-per-node 8 (.*) train RECIPE`", README.read_text())
    launcher = [Path(sys.executable).with_name("torchrun"), "--nproc-per-node", str(processes)]
    return subprocess.run([*launcher, *line.split(), *arguments], capture_output=True, text=True)
