"""Sounds that are no acted emotion, to see whether a recogniser notices: noises, tones, and voices of programs."""

import torch
from torch import Tensor

from datasets import audio, voices

COUNT = 12  # of each kind
SECONDS = 3.0
SENTENCES = (
    "this bird has a red head and black wings",
    "a small yellow bird with a grey belly and a short pointed beak",
    "the bird is blue all over with a white throat",
)


def foreign_waves(count: int = COUNT) -> dict[str, list[Tensor]]:
    """For each kind of sound `count` waves [N] at 16 kHz; the same ones every time on the same machine."""
    generator = torch.Generator().manual_seed(0)
    size = round(SECONDS * audio.SAMPLE_RATE)
    time = torch.arange(size) / audio.SAMPLE_RATE

    def coloured(power: float) -> Tensor:
        """Noise whose power falls with frequency to `power`."""
        spectrum = torch.fft.rfft(torch.randn(size, generator=generator))
        wave = torch.fft.irfft(spectrum / torch.arange(1, len(spectrum) + 1) ** (power / 2), size)
        return 0.3 * wave / wave.abs().max()

    def tone() -> Tensor:
        """A steady tone with overtones, of a pitch between 100 and 1000 Hz."""
        hertz = 100 * 10 ** float(torch.rand(1, generator=generator))
        partials = [torch.sin(2 * torch.pi * hertz * k * time) / k for k in range(1, 5)]
        return 0.2 * torch.stack(partials).sum(0)

    def clicks() -> Tensor:
        """About ten clicks a second, as of keys or rain."""
        hits = (torch.rand(size, generator=generator) < 10 / audio.SAMPLE_RATE).float()
        hits[size // 2] = 1.0
        fade = torch.exp(-torch.arange(400) / 60.0) * torch.randn(400, generator=generator)
        return 0.5 * torch.nn.functional.conv1d(hits[None, None], fade.flip(0)[None, None], padding=399)[0, 0, :size]

    kinds = {
        "white noise": [coloured(0.0) for _ in range(count)],
        "pink noise": [coloured(1.0) for _ in range(count)],
        "brown noise": [coloured(2.0) for _ in range(count)],
        "tones": [tone() for _ in range(count)],
        "clicks": [clicks() for _ in range(count)],
    }
    speakers = voices.available()
    spoken = [
        voices.synthesise(speakers[k % len(speakers)], SENTENCES[k % len(SENTENCES)], k)
        for k in range(count if speakers else 0)
    ]
    return {**kinds, "voices of programs": spoken} if spoken else kinds
