"""The command that paints the shipped example recordings: `scripts/demo.sh`."""

from datasets import cli
from s2i import generate

EXAMPLES = cli.repository() / "pretrained" / "examples"


def main(arguments: list[str]) -> int:
    """Paint the examples, or the recordings that the command line names, into outputs/demo; 2 if any could not be."""
    folder = cli.workplace() / "outputs" / "demo"
    code = generate.main(["--output", str(folder), *(arguments or [str(EXAMPLES)])])
    print(f"the pictures are in {folder}")
    return code


if __name__ == "__main__":
    cli.run(main)
