"""`python -m cxrloc` is `cxrloc`; `torchrun ... -m cxrloc train RECIPE` starts one per GPU."""

from cxrloc.cli import app

if __name__ == "__main__":
    app()
