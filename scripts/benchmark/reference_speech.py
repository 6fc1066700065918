"""The plain reference of what goes before the generator and after it: DAMSM, S2IGAN's encoder, painting, loading.

Written from the descriptions of the published code, like `reference.py`.
"""

import io
from pathlib import Path

import numpy as np
import soundfile
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from scripts.benchmark.reference import (
    DIMENSION,
    GAMMAS,
    Generator,
    ImageEncoder,
    TextEncoder,
    cross_entropy_both_ways,
    sentence_loss,
    words_loss,
)

WINDOW, HOP, BANDS = 551, 220, 40  # at 22,050 Hz: 25 ms, 10 ms
SPECIES, WIDTH, WORDS_OF_SPEECH = 150, 1024, 18


class DamsmTraining:
    """One step of training DAMSM: Inception looks at every batch anew."""

    def __init__(self, device: torch.device) -> None:
        self.text, self.image = TextEncoder().to(device), ImageEncoder().to(device)
        weights = [p for network in (self.text, self.image) for p in network.parameters() if p.requires_grad]
        self.optimizer = torch.optim.Adam(weights, 2e-3, (0.5, 0.999))

    def step(self, pictures: Tensor, tokens: Tensor, species: Tensor) -> None:
        """Pictures [B, 3, 299, 299] with their captions."""
        self.optimizer.zero_grad()
        regions, whole = self.image(pictures)
        words, sentence = self.text(tokens)
        (sentence_loss(sentence, whole, species) + words_loss(words, regions, species)).backward()
        nn.utils.clip_grad_norm_(self.text.parameters(), 0.25)
        self.optimizer.step()


class SpeechEncoder(nn.Module):
    """S2IGAN's: two convolutions, two layers of a bi-directional GRU, attention pooling for each channel."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for a, b in ((BANDS, 64), (64, 128)):
            layers += [nn.Conv1d(a, b, 6, 2, bias=False), nn.BatchNorm1d(b)]
        self.convolutions = nn.Sequential(*layers)
        self.gru = nn.GRU(128, WIDTH // 2, 2, batch_first=True, bidirectional=True)
        self.attention = nn.Sequential(nn.Linear(WIDTH, 128), nn.Tanh(), nn.Linear(128, WIDTH))

    def forward(self, mels: Tensor) -> tuple[Tensor, Tensor]:
        """Log-mels [B, T, 40] to states [B, T / 4, 1024] and vectors [B, 1024]."""
        states, _ = self.gru(self.convolutions(mels.transpose(1, 2)).transpose(1, 2))
        return states, F.normalize((torch.softmax(self.attention(states), 1) * states).sum(1), dim=1)


def log_mel(wave: Tensor, filters: Tensor) -> Tensor:
    """[N] at 22,050 Hz to [T, 40], each band normalised."""
    power = torch.stft(wave, WINDOW, HOP, window=torch.hamming_window(WINDOW), return_complex=True).abs().square()
    mel = (filters @ power + 1e-6).log().t()
    return (mel - mel.mean(0)) / mel.std(0)


class SenTraining:
    """One step of training S2IGAN's encoder: recordings to spectrograms, pictures through Inception, every time."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.filters = device, torch.rand(BANDS, WINDOW // 2 + 1)
        self.speech, self.image = SpeechEncoder().to(device), ImageEncoder().to(device)
        self.project, self.classify = nn.Linear(2048, WIDTH).to(device), nn.Linear(WIDTH, SPECIES).to(device)
        weights = [p for network in (self.speech, self.project, self.classify) for p in network.parameters()]
        self.optimizer = torch.optim.Adam(weights, 1e-3, (0.95, 0.999), weight_decay=1e-3)

    def step(self, pictures: Tensor, waves: list[Tensor], species: Tensor) -> None:
        """Pictures [B, 3, 256, 256] with recordings of them."""
        self.optimizer.zero_grad()
        mels = nn.utils.rnn.pad_sequence([log_mel(wave, self.filters) for wave in waves], batch_first=True)
        _, spoken = self.speech(mels.to(self.device))
        with torch.no_grad():
            sized = F.interpolate(pictures, size=(299, 299), mode="bilinear", align_corners=True)
            seen = self.image.upper(self.image.lower(sized)).mean((2, 3))
        shown = F.normalize(self.project(seen), dim=1)
        loss = cross_entropy_both_ways(GAMMAS[2] * spoken @ shown.t(), species)
        for embedded in (spoken, shown):
            loss = loss + F.cross_entropy(self.classify(embedded), species)
        loss.backward()
        self.optimizer.step()


class Painter:
    """From a recording to PNG files of every size."""

    def __init__(self, device: torch.device, stages: int, width: int = 32) -> None:
        self.device, self.filters = device, torch.rand(BANDS, WINDOW // 2 + 1)
        self.speech = SpeechEncoder().to(device).eval()
        self.sentence, self.words = (nn.Linear(WIDTH, DIMENSION).to(device) for _ in range(2))
        self.generator = Generator(stages, width).to(device).eval()

    @torch.no_grad()
    def paint(self, recording: Path, samples: int, folder: Path) -> None:
        """Paint `samples` pictures of a recording, all in one batch, and write them."""
        wave, _ = soundfile.read(recording, dtype="float32")
        states, vector = self.speech(log_mel(torch.from_numpy(wave), self.filters)[None].to(self.device))
        words = self.words(F.adaptive_avg_pool1d(states.transpose(1, 2), WORDS_OF_SPEECH).transpose(1, 2))
        noise = torch.randn(samples, 100, device=self.device)
        sentence = self.sentence(vector).expand(samples, -1)
        pictures, _, _ = self.generator(noise, sentence, words.transpose(1, 2).expand(samples, -1, -1))
        for batch in pictures:
            for number, picture in enumerate(batch.cpu()):
                array = ((picture.permute(1, 2, 0) + 1) * 127.5).byte().numpy()
                Image.fromarray(array).save(folder / f"{number}-{len(array)}.png")


def load_batch(encoded: list[bytes], side: int, rng: np.random.Generator) -> list[Tensor]:
    """Decode, reduce, crop, mirror, reduce to every size and normalise, as the published loader does for each step."""
    sizes = [64 * 2**k for k in range(side.bit_length() - 6)]
    pictures: list[list[Tensor]] = [[] for _ in sizes]
    for data in encoded:
        picture = Image.open(io.BytesIO(data), formats=("JPEG",)).convert("RGB")
        scale = int(side * 76 / 64) / min(picture.size)
        picture = picture.resize(
            (round(picture.width * scale), round(picture.height * scale)), Image.Resampling.BILINEAR
        )
        left, top = (int(rng.integers(free + 1)) for free in (picture.width - side, picture.height - side))
        picture = picture.crop((left, top, left + side, top + side))
        if rng.integers(2):
            picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        for size, row in zip(sizes, pictures, strict=True):
            array = np.asarray(picture.resize((size, size), Image.Resampling.BILINEAR))
            row.append(torch.from_numpy(array.copy()).permute(2, 0, 1).float() / 127.5 - 1)
    return [torch.stack(row) for row in pictures]
