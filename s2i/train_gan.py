"""The command that trains the generator, from speech or from text."""

from dataclasses import replace
from pathlib import Path

from attngan.training.gan_config import GanConfig
from datasets import cli
from datasets.files import require_file

# For two CPU cores and some hours: one stage after the other, since all four at once cost too much on a CPU. Each run
# starts from the one before, whose stages mostly stay as they are. The first run paints written captions, so that
# it need not wait for the speech encoder, whose sentences come close to those of the text encoder.
CPU_64_TEXT = GanConfig(
    run=Path("runs/gan-64-text"),
    condition="text",
    stages=1,
    widths=(32, 24, 16, 12),
    blocks=(1,),
    discriminator_widths=(32, 24, 16, 8),
    feature_discriminator="joint",
    damsm_weight=0.0,
    augmentation=("translation",),
    batch_size=32,
    pictures=1_000_000,
    final_rate=1.0,
    validate_every=16_000,
    grid_every=8_000,
    checkpoint_every=4_000,
)
CPU_64 = replace(
    CPU_64_TEXT,
    run=Path("runs/gan-64"),
    condition="speech",
    init=Path("runs/gan-64-text/checkpoint.safetensors"),
    pictures=300_000,
    final_rate=0.1,
)
CPU_128 = replace(
    CPU_64,
    run=Path("runs/gan-128"),
    stages=2,
    freeze=1,
    init=Path("runs/gan-64/checkpoint.safetensors"),
    diversity_weight=0,
    batch_size=16,
    pictures=80_000,
    checkpoint_every=4_000,
)
CPU_128_BOTH = replace(  # both stages go on together, now that the second is no longer a beginner
    CPU_128,
    run=Path("runs/gan-128-both"),
    freeze=0,
    init=Path("runs/gan-128/checkpoint.safetensors"),
    diversity_weight=CPU_64.diversity_weight,
    pictures=90_000,
)
CPU_256 = replace(
    CPU_128,
    run=Path("runs/gan-256"),
    stages=3,
    freeze=2,
    init=Path("runs/gan-128-both/checkpoint.safetensors"),
    texture_width=32,
    consistency_weight=50.0,
    learning_rate=5e-4,  # few steps, so longer ones
    discriminator_learning_rate=1e-3,
    batch_size=8,
    pictures=28_000,
    checkpoint_every=1_200,
    grid_every=2_000,
)
CPU_512 = replace(
    CPU_256,
    run=Path("runs/gan-512"),
    stages=4,
    freeze=3,
    init=Path("runs/gan-256/checkpoint.safetensors"),
    learning_rate=CPU_128.learning_rate,
    discriminator_learning_rate=CPU_128.discriminator_learning_rate,
    batch_size=4,
    pictures=1_600,
    checkpoint_every=320,
    grid_every=400,
)
# One GPU: published widths, 64 to 256 px together, then the fourth stage with the others left as they are.
GPU_256 = GanConfig(
    run=Path("runs/gan-gpu-256"),
    stages=3,
    widths=(32,),
    discriminator_widths=(64, 48, 32),
    batch_size=64,
    pictures=5_000_000,
    validate_every=100_000,
    checkpoint_every=50_000,
    log_every=6_400,
)
GPU_512 = replace(
    GPU_256,
    run=Path("runs/gan-gpu-512"),
    stages=4,
    freeze=3,
    diversity_weight=0,
    discriminator_widths=(64, 48, 32, 16),
    init=Path("runs/gan-gpu-256/checkpoint.safetensors"),
    batch_size=32,
    pictures=1_000_000,
)
# One GPU for some minutes: from written captions on a corpus of small pictures, in pieces; the same command goes on.
GPU_SHORT = GanConfig(
    corpus=Path("data/cub-small.h5"),
    run=Path("runs/gan-short"),
    damsm=Path("runs/damsm-short/best.safetensors"),
    condition="text",
    stages=2,
    widths=(64, 48),
    discriminator_widths=(64, 48),
    augmentation=("translation",),
    feature_size=128,
    batch_size=64,
    pictures=2_000_000,
    final_rate=1.0,
    minutes=8.0,
    validate_every=100_000,
    checkpoint_every=20_000,
    log_every=6_400,
)

PRESETS = {
    "cub": GanConfig(),
    "cpu-64-text": CPU_64_TEXT,
    "cpu-64": CPU_64,
    "cpu-128": CPU_128,
    "cpu-128-both": CPU_128_BOTH,
    "cpu-256": CPU_256,
    "cpu-512": CPU_512,
    "gpu-256": GPU_256,
    "gpu-512": GPU_512,
    "gpu-short": GPU_SHORT,
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
        feature_width=8,
        observer="none",
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
    from attngan.networks import encoders  # torch, which --help need not wait for
    from attngan.training import gan
    from s2i.model.speech_encoder import load_speech_encoder

    require_file(config.damsm, "DAMSM", maker="scripts/train_damsm.sh")
    if config.condition == "speech":
        require_file(config.sen, "speech encoder", maker="scripts/train_sen.sh")
    image, about = encoders.load_image_encoder(config.damsm)
    gammas = {name: float(about["config"][name]) for name in ("gamma1", "gamma2", "gamma3")}
    caption, vocabulary = (
        encoders.load_text_encoder(config.damsm)
        if config.condition == "text"
        else (load_speech_encoder(config.sen), None)
    )
    description = {"condition": config.condition}
    return gan.train(config, image, caption, vocabulary=vocabulary, gammas=gammas, description=description)


if __name__ == "__main__":
    cli.run(main)
