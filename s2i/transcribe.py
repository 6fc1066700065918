"""The command that writes down spoken descriptions: `python -m s2i.transcribe recording.wav`."""

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

from datasets import cli
from datasets.errors import InputError
from datasets.recordings import read_each


@dataclass(frozen=True)
class TranscribeConfig:
    """What is transcribed, and by what."""

    recordings: Positional[tuple[Path, ...]] = ()
    """Recordings (wav, flac, ogg, mp3, m4a, aac, webm; 0.3 to 30 s), or folders of them."""
    corpus: Path = Path("data/cub.h5")
    """Corpus whose training captions tell which words to expect; what is learnt is kept beside it (cub.recogniser).
    Where the default one is not there, the shipped pretrained/recogniser listens."""
    model: Path | None = None
    """A folder to take as it is instead: a recogniser kept by an earlier call, or a downloaded Whisper model (of
    CTranslate2 or transformers); or `whisper`, the tiny.en that requirements-whisper.txt installs."""


def main(arguments: list[str]) -> int:
    """Print name, tab and words of every recording that the command line names; 2 if any is not one, else 0."""
    description = "Write down spoken descriptions: for every recording its name, a tab, and its words."
    config = cli.parse_tool(TranscribeConfig, arguments, description=description)
    failures: list[InputError] = []
    listener = None
    for recording in read_each(config.recordings, failures):
        if listener is None:
            from s2i.model.transcribe import recogniser  # torch takes a second to import

            listener = recogniser(config.corpus, config.model)
        print(f"{recording.name}\t{listener(recording.wave)}", flush=True)
    return 2 if failures else 0


if __name__ == "__main__":
    cli.run(main)
