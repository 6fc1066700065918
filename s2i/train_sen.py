"""The command that trains the speech embedding network against the picture features of DAMSM."""

from dataclasses import dataclass
from pathlib import Path

from attngan.training.damsm_config import DamsmTrainingConfig
from datasets import cli
from datasets.errors import InputError
from datasets.files import require_file

FRONTS = ("speech", "utterance", "whisper")
MAKER = "python -m s2i.whisper_features"


@dataclass(frozen=True)
class SenConfig(DamsmTrainingConfig):
    """Options of training the speech embedding network."""

    run: Path = Path("runs/sen")
    """Run folder; the same command again goes on there."""
    damsm: Path = Path("runs/damsm/best.safetensors")
    """DAMSM, made by scripts/train_damsm.sh, whose picture features speech is to match."""
    learning_rate: float = 1e-3
    """Of AdamW, at its highest."""
    class_weight: float = 0.5
    """Weight of the species term (S2IGAN's distinctive loss); 0 to train without species."""
    teacher_weight: float = 20.0
    """Weight of the distance to the sentence that DAMSM's text encoder makes of what is said, where the corpus has the
    words and DAMSM was trained on words; 0, as the next two, to train against pictures alone."""
    teacher_words_weight: float = 2.0
    """Weight of the distance of the segments to the words of DAMSM's text encoder, where there is a teacher."""
    transcript_weight: float = 1.0
    """Weight of the segments saying the words in their order, where there is a teacher."""
    pictures: int = 580_000
    """Budget: how many pictures are seen in all."""
    width: int = 160
    """Channels of the convolutions at 25 Hz."""
    hidden: int = 192
    """Channels of the convolutions at 12.5 Hz."""
    segments: int = 32
    """The most segments that a recording becomes."""
    segment_frames: int = 2
    """Frames of 80 ms that make a segment, unless that gives too many segments."""
    dilations: tuple[int, ...] = (1, 2, 4, 8, 1)
    """Of the residual convolutions at 12.5 Hz, one each."""
    init: Path | None = None
    """A trained speech encoder to begin from, as far as its weights fit; by default from nothing."""
    picture_size: int = 0
    """Side in px that pictures are seen at in training; 0 for the size of DAMSM's trunk. A smaller one has fewer
    regions and costs less; DAMSM must have been trained at it."""
    front: str = "speech"
    """speech: hears what is said and nothing of pauses; utterance: normalises over all frames, silence included;
    whisper: the frozen encoder of Whisper tiny.en listens first (requirements-whisper.txt), whose features
    `python -m s2i.whisper_features` keeps as a corpus of their own. Its own training saw text."""

    def __post_init__(self) -> None:
        super().__post_init__()
        cli.check_range("teacher_weight", self.teacher_weight, 0, 1000)
        cli.check_range("teacher_words_weight", self.teacher_words_weight, 0, 1000)
        cli.check_range("transcript_weight", self.transcript_weight, 0, 1000)
        cli.check_choice("front", self.front, FRONTS)
        for dilation in self.dilations:
            cli.check_range("dilations", dilation, 1, 64)
        if self.picture_size:
            cli.check_range("picture_size", self.picture_size, 32, 1024)
        cli.check_range("width", self.width, 4, 4096)
        cli.check_range("hidden", self.hidden, 4, 4096)
        cli.check_range("segments", self.segments, 1, 32)
        cli.check_range("segment_frames", self.segment_frames, 1, 100)


PRESETS = {
    "cub": SenConfig(),
    "tiny": SenConfig(
        corpus=Path("data/tiny.h5"),
        run=Path("runs/tiny-sen"),
        damsm=Path("runs/tiny-damsm/best.safetensors"),
        pictures=2_400,
        batch_size=16,
        width=32,
        hidden=32,
        ema_pictures=300,
        validate_every=800,
        checkpoint_every=800,
        log_every=160,
    ),
}


def main(arguments: list[str]) -> None:
    """Train the speech encoder as the command line asks for."""
    config = cli.parse(SenConfig, PRESETS, arguments, description="Train the speech embedding network (SEN).")
    train(config)


def train(config: SenConfig) -> Path:
    """Train the speech encoder; writes best.safetensors and results.json into the run folder, returns the former.

    Raises:
        InputError: for a corpus without recordings, or a bad DAMSM file.
    """
    import torch  # which --help need not wait for

    from attngan.evaluation import retrieval
    from attngan.networks import encoders
    from attngan.training import damsm
    from s2i.model.speech_encoder import SPEECH_KIND, SpeechEncoder, load_speech_encoder, start_from

    require_file(config.damsm, "DAMSM", maker="scripts/train_damsm.sh")
    words = _check_corpus(config)
    image, about = encoders.load_image_encoder(config.damsm)
    teacher = None
    weights = (config.teacher_weight, config.teacher_words_weight, config.transcript_weight)
    if any(weights) and about["caption"] == "text" and words:
        teacher = damsm.Teacher(*encoders.load_text_encoder(config.damsm), *weights)
    retrieval.tell_if_untested(config.corpus, speech=True)
    torch.manual_seed(config.seed)
    speech = SpeechEncoder(
        width=config.width,
        hidden=config.hidden,
        segments=config.segments,
        segment_frames=config.segment_frames,
        dilations=config.dilations,
        front=config.front,
    )
    begun = str(config.init) if config.init and start_from(speech, config.init) else None
    best = damsm.train(
        config,
        image,
        speech,
        kind=SPEECH_KIND,
        vocabulary=None,
        image_frozen=True,
        description={
            "speech": speech.arguments,
            "damsm": str(config.damsm),
            "teacher": teacher is not None,
            "init": begun,
        },
        teacher=teacher,
        may_change=("threads", "cache"),
        sizes=(config.picture_size,) if config.picture_size else (),
    )
    retrieval.measure(config, image, load_speech_encoder(best), vocabulary=None, rounds=1)
    return best


def _check_corpus(config: SenConfig) -> bool:
    """Whether the corpus knows the words of every recording that trains; one of own recordings need not.

    Raises:
        InputError: if its recordings are not kept as the front end wants them.
    """
    import numpy as np

    from datasets.corpus import Corpus

    corpus = Corpus(config.corpus)
    if (corpus.front == "whisper") != (config.front == "whisper"):
        raise InputError(
            f"--front {config.front}: {config.corpus} keeps its recordings as {corpus.front}; "
            + (
                f"make a corpus with {MAKER} --corpus {config.corpus}"
                if config.front == "whisper"
                else "give a corpus of log-mels, or --front whisper"
            )
        )
    spoken = corpus.recording_caption[np.isin(corpus.recording_picture, corpus.pictures_of("train"))]
    corpus.close()
    return bool((spoken >= 0).all())


if __name__ == "__main__":
    cli.run(main)
