"""The command that prints the emotion in recordings: `scripts/emotion.sh`."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tyro.conf import Positional

from datasets import cli
from datasets.errors import InputError
from datasets.recordings import read_each
from s2i.emotion import FILE

if TYPE_CHECKING:
    from s2i.emotion import Emotion


def describe(emotion: "Emotion") -> str:
    """What was heard, in one line for people."""
    shares = sorted(emotion.probabilities.items(), key=lambda item: -item[1])
    probabilities = ", ".join(f"{name} {share:.2f}" for name, share in shares)
    sure = max(emotion.female, 1 - emotion.female)
    return (
        f"{emotion.label} ({emotion.certainty})\tvalence {emotion.valence:+.2f}, arousal {emotion.arousal:+.2f}\t"
        f"{emotion.voice} voice ({sure:.2f})\t{probabilities}"
    )


@dataclass(frozen=True)
class EmotionToolConfig:
    """Whose emotion is printed."""

    recordings: Positional[tuple[Path, ...]] = ()
    """Recordings of one voice each (wav, flac, ogg, mp3, m4a, aac, webm; 0.3 to 30 s), or folders of them."""
    model: Path = Path("pretrained") / FILE
    """Weights, made by scripts/train_emotion.sh."""


def main(arguments: list[str]) -> int:
    """Print a line for every recording that the command line names; 2 if any is not one, else 0."""
    description = (
        "Print the emotion in voices: name, emotion, valence and arousal, voice, and the probabilities of all eight "
        'emotions, apart by tabs. "unlike its training" says not to believe the rest.'
    )
    config = cli.parse_tool(EmotionToolConfig, arguments, description=description)

    failures: list[InputError] = []
    listener = None
    for recording in read_each(config.recordings, failures):
        if listener is None:
            from s2i.emotion import SpeechEmotion

            listener = SpeechEmotion.load(config.model)
        print(f"{recording.name}\t{describe(listener(recording.wave))}", flush=True)
    return 2 if failures else 0


if __name__ == "__main__":
    cli.run(main)
