"""The command that trains the generator, from speech or from text."""

from pathlib import Path

from attngan import encoders, train_gan
from attngan.train_gan import GanConfig
from datasets import cli
from s2i.speech_encoder import load_speech_encoder

PRESETS = {
    "cub": GanConfig(),
    "tiny": GanConfig(
        corpus=Path("data/tiny.h5"),
        run=Path("runs/tiny-gan"),
        damsm=Path("runs/tiny-damsm/best.safetensors"),
        sen=Path("runs/tiny-sen/best.safetensors"),
        stages=3,
        base=16,
        widths=(8,),
        blocks=(1,),
        max_width=32,
        discriminator_widths=(8,),
        discriminator_max_width=32,
        pictures=1_600,
        batch_size=8,
        ema_pictures=300,
        validate_every=800,
        grid_every=800,
        checkpoint_every=800,
        log_every=80,
    ),
}


def main(arguments: list[str]) -> None:
    """Train the generator as the command line asks for."""
    train(cli.parse(GanConfig, PRESETS, arguments, description="Train the generator and its discriminators."))


def train(config: GanConfig) -> Path:
    """Train the generator on the condition that is configured; returns the file of its averaged weights.

    Raises:
        InputError: for a missing or damaged encoder or corpus.
    """
    image, _ = encoders.load_image_encoder(config.damsm)
    if config.condition == "text":
        caption, vocabulary = encoders.load_text_encoder(config.damsm)
        return train_gan.train(
            config, image, caption, vocabulary=vocabulary, description={"condition": "text"}
        )
    return train_gan.train(
        config, image, load_speech_encoder(config.sen), vocabulary=None, description={"condition": "speech"}
    )


if __name__ == "__main__":
    cli.run(main)
