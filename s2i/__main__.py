"""The command `s2i`: `s2i generate recording.wav`, which `scripts/generate.sh` calls as `python -m s2i generate`."""

import difflib
import importlib
import sys
from typing import NamedTuple

import datasets
from s2i import __version__


class Command(NamedTuple):
    """What `s2i NAME` runs: the `main` of a module, and what it does in a few words."""

    module: str
    about: str


COMMANDS = {
    "generate": Command("s2i.generate", "paint recordings or typed words"),
    "demo": Command("s2i.demo", "paint the shipped example recordings"),
    "app": Command("s2i.app.server", "serve the page on which people speak or type"),
    "morph": Command("s2i.morph", "paint the way from one description to another"),
    "emotion": Command("s2i.emotion.__main__", "print the emotion in voices"),
    "transcribe": Command("s2i.transcribe", "write down spoken descriptions"),
    "prepare": Command(f"{datasets.__name__}.prepare", "build the corpus that training reads"),
    "shard": Command(f"{datasets.__name__}.shard", "join several corpora to one"),
    "train-damsm": Command("s2i.train_damsm", "first training: pictures against captions"),
    "train-sen": Command("s2i.train_sen", "second training: the speech encoder"),
    "train-gan": Command("s2i.train_gan", "third training: the generator"),
    "train-baselines": Command("s2i.train_baselines", "train every row of the table of results"),
    "train-emotion": Command("s2i.train_emotion", "train the recognisers of emotion"),
    "train-classifier": Command("s2i.train_classifier", "train the classifier of bird species"),
    "export": Command("s2i.export", "pack trained weights into a folder"),
    "export-evaluators": Command("s2i.export_evaluators", "pack what pictures are scored by"),
    "fit-observer": Command("s2i.fit_observer", "fit what scores pictures through the observer"),
    "import-attngan": Command("s2i.import_attngan", "make a model of AttnGAN's published weights"),
    "evaluate": Command("s2i.evaluate", "score models, or a folder of pictures"),
    "evaluate-synthetic": Command("s2i.evaluate_synthetic", "score models on synthetic birds"),
    "check-measures": Command("s2i.check_measures", "tell which measures notice damaged photographs"),
}
"""What people run, in the order in which they meet it."""


def main() -> None:
    """Run the command that the command line names, as if it were a program of its own.

    Raises:
        SystemExit: always, with the code of the command; 2 for one that there is not.
    """
    name, *arguments = sys.argv[1:] or ["--help"]
    if name in ("-h", "--help"):
        print(_help())
        sys.exit()
    if name == "--version":
        print(f"s2i {__version__}")
        sys.exit()
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f"did you mean s2i {near[0]}? See" if near else "see"
        print(f"error: s2i {name}: no such command; {hint} s2i --help", file=sys.stderr)
        sys.exit(2)
    sys.argv = [f"s2i {name}", *arguments]  # what --help and records of a run call it
    from datasets import cli  # its parser need not be imported for the above

    cli.run(lambda given: importlib.import_module(COMMANDS[name].module).main(given))


def _help() -> str:
    width = max(map(len, COMMANDS)) + 2
    commands = "\n".join(f"  {name:{width}}{command.about}" for name, command in COMMANDS.items())
    return (
        f"usage: s2i COMMAND [...]\n\nSpeech in, picture out.\n\n{commands}\n\n"
        "s2i COMMAND --help explains the options of a command, s2i --version tells which version this is."
    )


if __name__ == "__main__":
    main()
