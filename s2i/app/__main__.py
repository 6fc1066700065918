"""`python -m s2i.app`."""

from datasets import cli
from s2i.app.server import main

if __name__ == "__main__":
    cli.run(main)
