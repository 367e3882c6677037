"""`python -m cxrloc` is the command `cxrloc`."""

from cxrloc.cli import app

app(prog_name="cxrloc")
