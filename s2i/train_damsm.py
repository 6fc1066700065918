"""The command that trains DAMSM: pictures against written captions, or, text-free, against spoken ones."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from attngan.training.damsm_config import CELLS, MODALITIES, TRUNKS, DamsmTrainingConfig
from datasets import cli
from datasets.errors import InputError


@dataclass(frozen=True)
class DamsmConfig(DamsmTrainingConfig):
    """Options of training DAMSM."""

    modality: str = "text"
    """Of the captions that pictures are matched with: text, or speech, which uses no caption text at any step."""
    captions: str = "all"
    """Which written captions of each picture to train with: all, even or odd; a judge may have those others left."""
    cell: str = "lstm"
    """Recurrent cell of the text encoder: lstm or gru."""
    trunk: str = "efficientnet"
    """Image trunk: efficientnet, frozen, from its pip package; any other frozen network by timm's name; inception,
    frozen, with the weights of --trunk-weights; or scratch, trained here."""
    trunk_weights: Path | None = None
    """State dict of a frozen trunk: of torchvision's inception_v3, or of timm's network, which else is downloaded."""
    sizes: tuple[int, ...] = (224, 96)
    """Sides in px that a frozen trunk sees pictures at, one of them in each step; the first is validated. Regions are a
    grid of a sixteenth of it. Painted pictures are looked at at the smaller sides."""
    size: int = 64
    """Side in px of the pictures that the scratch trunk sees; its regions are a grid of an eighth of it."""
    image_dropout: float = 0.2
    """Dropout of the pooled feature of a picture."""
    text_dropout: float = 0.5
    """Dropout of word embeddings."""
    embedding: int = 300
    """Width of word embeddings."""
    width: int = 32
    """Channels of the first stage of the scratch trunk."""
    blocks: tuple[int, int, int, int] = (1, 1, 2, 2)
    """Residual blocks in each stage of the scratch trunk."""

    renamed: ClassVar[Mapping[str, str]] = {"teacher": "modality"}

    def __post_init__(self) -> None:
        super().__post_init__()
        cli.check_choice("modality", self.modality, MODALITIES)
        cli.check_choice("captions", self.captions, ("all", "even", "odd"))
        cli.check_choice("cell", self.cell, CELLS)
        for resolution in self.sizes or (0,):
            cli.check_range("sizes", resolution, 32, 1024)
        cli.check_range("image_dropout", self.image_dropout, 0, 0.95)
        cli.check_range("text_dropout", self.text_dropout, 0, 0.95)
        cli.check_range("embedding", self.embedding, 8, 4096)
        cli.check_range("size", self.size, 32, 512)
        cli.check_range("width", self.width, 4, 512)
        for count in self.blocks:
            cli.check_range("blocks", count, 1, 8)
        if self.trunk == "inception" and self.trunk_weights is None:
            raise InputError("--trunk-weights: missing; name the file with the weights of torchvision's inception_v3")


PRESETS = {
    "cub": DamsmConfig(),
    "gpu-short": DamsmConfig(
        corpus=Path("data/cub-small.h5"),
        run=Path("runs/damsm-short"),
        sizes=(128,),
        minutes=6.0,
        validate_every=40_000,
        checkpoint_every=40_000,
    ),
    "tiny": DamsmConfig(
        corpus=Path("data/tiny.h5"),
        run=Path("runs/tiny-damsm"),
        trunk="scratch",
        pictures=2_400,
        batch_size=16,
        size=32,
        width=8,
        blocks=(1, 1, 1, 1),
        ema_pictures=300,
        validate_every=800,
        checkpoint_every=800,
        log_every=160,
    ),
}


def main(arguments: list[str]) -> None:
    """Train DAMSM as the command line asks for."""
    config = cli.parse(DamsmConfig, PRESETS, arguments, description="Train DAMSM, pictures against captions.")
    train(config)


def train(config: DamsmConfig) -> Path:
    """Train DAMSM; writes best.safetensors and results.json into the run folder and returns the former.

    Raises:
        InputError: for a corpus without captions (text) or recordings (speech), or a bad weights file.
    """
    import torch  # which --help need not wait for

    from attngan.evaluation import retrieval
    from attngan.networks import encoders
    from attngan.networks.text_encoder import TextEncoder
    from attngan.training import damsm
    from datasets.captions import Vocabulary
    from datasets.corpus import Corpus
    from s2i.model.speech_encoder import SpeechEncoder, load_speech_encoder

    retrieval.tell_if_untested(config.corpus, speech=config.modality == "speech")
    torch.manual_seed(config.seed)
    blueprint = {"trunk": config.trunk, "size": config.size, "width": config.width, "blocks": list(config.blocks)}
    named = config.trunk not in TRUNKS  # of timm
    if named:
        blueprint = {"trunk": config.trunk, "size": config.sizes[0], "dropout": config.image_dropout}
    image = encoders.build_image_encoder({**blueprint, "weights": config.trunk_weights})
    if named:
        blueprint |= {"checksum": image.trunk.checksum, "file": config.trunk_weights and str(config.trunk_weights)}
    vocabulary = None
    description: dict[str, object] = {"image": blueprint, "caption": config.modality}
    caption: TextEncoder | SpeechEncoder
    if config.modality == "text":
        corpus = Corpus(config.corpus)
        trained = set(corpus.pictures_of("train").tolist())
        vocabulary = Vocabulary.build(
            text for text, picture in zip(corpus.captions, corpus.caption_picture, strict=True) if picture in trained
        )
        corpus.close()
        if len(vocabulary) == 2:
            raise InputError(f"{config.corpus}: has too few captions to learn words from; use --modality speech")
        description["vocabulary"] = vocabulary.words
        description["cell"] = config.cell
        description["embedding"] = config.embedding
        caption = TextEncoder(
            n_words=len(vocabulary), cell=config.cell, embedding=config.embedding, dropout=config.text_dropout
        )
    else:
        caption = SpeechEncoder()
        description["speech"] = caption.arguments
    best = damsm.train(
        config,
        image,
        caption,
        kind=encoders.DAMSM_KIND,
        vocabulary=vocabulary,
        image_frozen=False,
        description=description,
        captions=config.captions,
        may_change=("threads", "cache"),
        sizes=config.sizes if named else (),
    )
    image, _ = encoders.load_image_encoder(best)
    caption = encoders.load_text_encoder(best)[0] if vocabulary else load_speech_encoder(best)
    retrieval.measure(config, image, caption, vocabulary=vocabulary, rounds=2)
    return best


if __name__ == "__main__":
    cli.run(main)
