"""The whole walk as one program of torch.export, which needs none of this code: samples and noise in, pictures out."""

from pathlib import Path
from unittest.mock import patch

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attngan.networks.generator import Generator
from datasets import audio
from datasets.audio import MAX_SECONDS, MIN_SECONDS, SAMPLE_RATE
from datasets.errors import InputError
from datasets.files import replacing
from s2i.model import speech_encoder
from s2i.model.speech_encoder import MaskedConv, SpeechEncoder

EXAMPLE = 3 * SAMPLE_RATE


class Program(nn.Module):
    """Speech encoder and generator for one recording.

    Args:
        encoder: of the front "utterance"; the other chooses frames by what is in them.

    Raises:
        InputError: if the encoder has the other front.
    """

    def __init__(self, encoder: SpeechEncoder, generator: Generator) -> None:
        super().__init__()
        if encoder.front != "utterance":
            raise InputError(
                f"speech encoder: --front {encoder.front} chooses frames by what is in them, which no exported program "
                "can; export one trained with --front utterance"
            )
        self.encoder, self.generator = encoder.eval(), generator.eval()
        self.mel = audio.mel_transform(torch.device("cpu"))  # made before it is traced; `audio.log_mel` finds this one

    def forward(self, wave: Tensor, noise: Tensor, epsilon: Tensor) -> tuple[Tensor, ...]:
        """Paint.

        Args:
            wave: [N], 16 kHz, in [-1, 1].
            noise: [1, 100], standard normal, and epsilon: [1, 100]; widths are those of the generator.

        Returns:
            One [1, 3, S, S] in [-1, 1] for each stage, S doubling.
        """
        mels = audio.log_mel(wave)[None]
        mask = torch.ones(mels.shape[:2], dtype=torch.bool)
        return tuple(self.generator(self.encoder(mels, mask), noise, epsilon).pictures)


def export(encoder: SpeechEncoder, generator: Generator, path: Path) -> None:
    """Write the program of 0.3 to 30 s of speech; `torch.export.load(path).module()(wave, noise, epsilon)` runs it.

    Raises:
        InputError: as `Program`, or if the file cannot be written.
    """
    program = Program(encoder, generator)
    noise = generator.sample_noise([(0, 0)])
    samples = torch.export.Dim("samples", min=int(MIN_SECONDS * SAMPLE_RATE), max=int(MAX_SECONDS * SAMPLE_RATE))

    def edges(lengths: Tensor, counts: Tensor) -> Tensor:
        """As many as there may be, since a program cannot count: those after the last one are empty, and masked."""
        return segment_edges(lengths, counts, encoder.segments)

    patched = patch.object(MaskedConv, "forward", _unmasked), patch.object(speech_encoder, "segment_edges", edges)
    with patched[0], patched[1], torch.no_grad():
        exported = torch.export.export(
            program,
            (torch.rand(EXAMPLE) - 0.5, noise.noise, noise.epsilon),
            dynamic_shapes={"wave": {0: samples}, "noise": None, "epsilon": None},
            strict=False,
            prefer_deferred_runtime_asserts_over_guards=True,  # it cannot see that there is more than one frame
        )
    with replacing(path) as temporary:
        torch.export.save(exported, temporary)


def _unmasked(layer: MaskedConv, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """`MaskedConv.forward` of one recording, all of whose frames are real: how many are left is told by their shape."""
    y = F.gelu(layer.norm(layer.conv(x).transpose(1, 2))).transpose(1, 2)
    y = y + x if layer.has_shortcut else y
    return y, torch.ones(1, y.shape[2], dtype=torch.bool)


def segment_edges(lengths: Tensor, counts: Tensor, most: int) -> Tensor:
    """`speech_encoder.segment_edges` with as many columns as `most` segments need."""
    places = torch.arange(most + 1, device=lengths.device)[None]
    return (places.minimum(counts[:, None]) * lengths[:, None]) // counts[:, None]
