"""The networks that the options of training the generator describe, and the names of its discriminators."""

from collections.abc import Mapping
from typing import Any

from attngan.networks.discriminator import (
    ConditionalDiscriminator,
    Discriminator,
    FeatureDiscriminator,
    TextureDiscriminator,
)
from attngan.networks.generator import Generator
from attngan.networks.image_encoder import ImageEncoder
from attngan.networks.projected import ProjectedDiscriminator
from attngan.networks.trunks import TimmTrunk
from attngan.training.gan_config import GanConfig

FEATURES, TEXTURE = "features", "texture"  # discriminators of the last stage; the others are named by their px
_OLD_NAMES = {"-1": FEATURES, "-2": TEXTURE}  # of checkpoints that number the others by stage, from 0 to 7


def build_generator(config: GanConfig) -> Generator:
    """The generator that the options describe, with fresh weights."""
    return Generator(
        stages=config.stages,
        base=config.base,
        widths=config.widths,
        blocks=config.blocks,
        max_width=config.max_width,
        affine=config.affine,
        skip=config.skip,
        attention=config.attention,
    )


def build_discriminators(config: GanConfig, image: ImageEncoder) -> dict[str, ConditionalDiscriminator]:
    """One for each stage that trains, one that looks through the eyes of `image`, and one for texture, by name."""
    widths = config.discriminator_widths
    networks: dict[str, ConditionalDiscriminator] = {}
    for stage in range(config.freeze, config.stages) if config.pixel_discriminators else ():
        resolution = config.base * 2**stage
        networks[str(resolution)] = Discriminator(
            resolution=resolution,
            width=widths[min(stage, len(widths) - 1)],
            max_width=config.discriminator_max_width,
            spectral=config.spectral,
        )
    if config.feature_width:
        kind: Any = ProjectedDiscriminator if config.feature_discriminator == "projected" else FeatureDiscriminator
        size = config.feature_size if isinstance(image.trunk, TimmTrunk) else image.trunk.size
        networks[FEATURES] = kind(image.trunk, size=size, width=config.feature_width, spectral=config.spectral)
    if config.texture_width:
        networks[TEXTURE] = TextureDiscriminator(width=config.texture_width, spectral=config.spectral)
    return networks


def name_discriminators(adversary: Mapping[str, Any], base: int) -> dict[str, Any]:
    """The state of an adversary with discriminators by name; those of older checkpoints are keyed by stage.

    No name is taken for a stage, since stages are numbered up to 7 and the smallest picture has 8 px.

    Args:
        adversary: as `Adversary.state_dict` gave it. base: side in px of the first stage of the run that saved it.
    """
    names = {**{str(stage): str(base * 2**stage) for stage in range(8)}, **_OLD_NAMES}

    def renamed(key: str) -> str:
        first, dot, rest = key.partition(".")
        return names.get(first, first) + dot + rest

    return {
        part: {renamed(key): value for key, value in content.items()} if part in ("networks", "optimizers") else content
        for part, content in adversary.items()
    }
