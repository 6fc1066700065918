"""The plain reference: AttnGAN as published, written from its description and made no faster than that.

Single precision, contiguous tensors, discriminators of 64 * 2^n channels with their squeeze convolutions, one Adam
each stepped in turn, their weights' gradients computed in the generator's step as well, and Inception-v3 (random
weights, the time is the same) looking at every painted batch anew. Sizes are those of the published code for birds.
"""

import time
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import inception_v3

WORDS, VOCABULARY, NOISE, CONDITION, DIMENSION = 18, 5450, 100, 100, 256
LAMBDA = 5.0
GAMMAS = (4.0, 5.0, 10.0)


class TextEncoder(nn.Module):
    """Embedding and a bi-directional LSTM: tokens [B, L] to words [B, 256, L] and sentences [B, 256]."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, 300)
        self.lstm = nn.LSTM(300, DIMENSION // 2, batch_first=True, bidirectional=True)

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        words, (last, _) = self.lstm(F.dropout(self.embedding(tokens), 0.5, self.training))
        return words.transpose(1, 2), torch.cat([last[0], last[1]], 1)


class ImageEncoder(nn.Module):
    """Inception-v3, frozen, with two projections: pictures to 289 regions [B, 256, 289] and a vector [B, 256]."""

    def __init__(self) -> None:
        super().__init__()
        network = inception_v3(weights=None, init_weights=False, transform_input=False).requires_grad_(False).eval()
        layers = [layer for name, layer in network.named_children() if name not in ("AuxLogits", "dropout", "fc")]
        self.lower, self.upper = nn.Sequential(*layers[:-4]), nn.Sequential(*layers[-4:-1])  # Mixed_7a, 7b, 7c
        self.local = nn.Conv2d(768, DIMENSION, 1, bias=False)
        self.pooled = nn.Linear(2048, DIMENSION)

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        local = self.lower(F.interpolate(pictures, size=(299, 299), mode="bilinear", align_corners=True))
        return self.local(local).flatten(2), self.pooled(self.upper(local).mean((2, 3)))


def up(a: int, b: int) -> nn.Sequential:
    """Nearest doubling, 3x3 convolution, batch norm, gated linear unit."""
    return nn.Sequential(
        nn.Upsample(scale_factor=2), nn.Conv2d(a, 2 * b, 3, 1, 1, bias=False), nn.BatchNorm2d(2 * b), nn.GLU(1)
    )


class Residual(nn.Module):
    """Two convolutions and a shortcut."""

    def __init__(self, c: int) -> None:
        super().__init__()
        first = [nn.Conv2d(c, 2 * c, 3, 1, 1, bias=False), nn.BatchNorm2d(2 * c), nn.GLU(1)]
        self.body = nn.Sequential(*first, nn.Conv2d(c, c, 3, 1, 1, bias=False), nn.BatchNorm2d(c))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class Generator(nn.Module):
    """An initial stage of 64 px and refinements that attend to the words; `width` is 32 for birds."""

    def __init__(self, stages: int, width: int = 32) -> None:
        super().__init__()
        c = 16 * width
        self.condition = nn.Linear(DIMENSION, 4 * CONDITION)
        self.seed = nn.Sequential(
            nn.Linear(CONDITION + NOISE, c * 32, bias=False),
            nn.BatchNorm1d(c * 32),
            nn.GLU(1),
            nn.Unflatten(1, (c, 4, 4)),
        )
        self.initial = nn.Sequential(*[up(c // 2**k, c // 2 ** (k + 1)) for k in range(4)])
        self.words = nn.ModuleList(nn.Conv1d(DIMENSION, width, 1, bias=False) for _ in range(stages - 1))
        self.refine = nn.ModuleList(
            nn.Sequential(Residual(2 * width), Residual(2 * width), up(2 * width, width)) for _ in range(stages - 1)
        )
        self.paint = nn.ModuleList(nn.Conv2d(width, 3, 3, 1, 1, bias=False) for _ in range(stages))

    def forward(self, noise: Tensor, sentence: Tensor, words: Tensor) -> tuple[list[Tensor], Tensor, Tensor]:
        mean, log_variance = F.glu(self.condition(sentence), 1).chunk(2, 1)
        code = mean + torch.randn_like(mean) * (0.5 * log_variance).exp()
        x = self.initial(self.seed(torch.cat([code, noise], 1)))
        pictures = [torch.tanh(self.paint[0](x))]
        for project, refine, paint in zip(self.words, self.refine, self.paint[1:], strict=True):
            keys = project(words)
            attention = torch.softmax(x.flatten(2).transpose(1, 2) @ keys, 2)
            x = refine(torch.cat([x, (keys @ attention.transpose(1, 2)).view_as(x)], 1))
            pictures.append(torch.tanh(paint(x)))
        return pictures, mean, log_variance


def down(a: int, b: int, norm: bool = True) -> list[nn.Module]:
    """4x4 convolution of stride 2 with batch norm."""
    return [nn.Conv2d(a, b, 4, 2, 1, bias=False), *([nn.BatchNorm2d(b)] if norm else []), nn.LeakyReLU(0.2)]


def same(a: int, b: int) -> list[nn.Module]:
    """3x3 convolution with batch norm."""
    return [nn.Conv2d(a, b, 3, 1, 1, bias=False), nn.BatchNorm2d(b), nn.LeakyReLU(0.2)]


class Discriminator(nn.Module):
    """Convolutions down to 4 px that double their channels each time, squeezed back to 8 * width, and two heads."""

    def __init__(self, side: int, width: int = 64) -> None:
        super().__init__()
        halvings = side.bit_length() - 3
        widths = [width * 2**k for k in range(halvings)]
        layers = down(3, width, norm=False)
        for a, b in pairwise(widths):
            layers += down(a, b)
        while widths[-1] > 8 * width:
            layers += same(widths[-1], widths[-1] // 2)
            widths.append(widths[-1] // 2)
        self.features = nn.Sequential(*layers)
        self.alone = nn.Conv2d(8 * width, 1, 4)
        self.join = nn.Sequential(*same(8 * width + DIMENSION, 8 * width))
        self.paired = nn.Conv2d(8 * width, 1, 4)

    def pair(self, features: Tensor, sentence: Tensor) -> Tensor:
        tiled = sentence[:, :, None, None].expand(-1, -1, 4, 4)
        return torch.sigmoid(self.paired(self.join(torch.cat([features, tiled], 1)))).flatten()

    def judge(self, features: Tensor) -> Tensor:
        return torch.sigmoid(self.alone(features)).flatten()


def cross_entropy_both_ways(scores: Tensor, species: Tensor) -> Tensor:
    """Pairs of the same species off the diagonal are left out."""
    same_species = (species[:, None] == species[None]) & ~torch.eye(
        len(species), dtype=torch.bool, device=scores.device
    )
    scores = scores.masked_fill(same_species, float("-inf"))
    labels = torch.arange(len(scores), device=scores.device)
    return F.cross_entropy(scores, labels) + F.cross_entropy(scores.t(), labels)


def sentence_loss(sentence: Tensor, whole: Tensor, species: Tensor) -> Tensor:
    """Cosines of all sentences with all pictures."""
    return cross_entropy_both_ways(GAMMAS[2] * F.normalize(sentence) @ F.normalize(whole).t(), species)


def words_loss(words: Tensor, regions: Tensor, species: Tensor) -> Tensor:
    """One caption after the other against all pictures."""
    columns = []
    for caption in words:
        likeness = caption.t() @ regions  # [B, T, R]
        attention = torch.softmax(GAMMAS[0] * torch.softmax(likeness, 1), 2)
        context = attention @ regions.transpose(1, 2)  # [B, T, D]
        cosine = F.cosine_similarity(caption.t().expand_as(context), context, dim=2)
        columns.append((GAMMAS[1] * cosine).exp().sum(1).log())
    return cross_entropy_both_ways(GAMMAS[2] * torch.stack(columns), species)


class Training:
    """One training step of AttnGAN at a side of 64, 128, 256 or 512 px.

    Args:
        shrink: divides all widths, for a quick run.
        encoders: trained ones of text and pictures, for a run that is to learn something; random ones without.
    """

    def __init__(
        self, side: int, device: torch.device, shrink: int = 1, encoders: tuple[nn.Module, nn.Module] | None = None
    ) -> None:
        sides = [64 * 2**k for k in range(side.bit_length() - 6)]
        text, image = encoders or (TextEncoder(), ImageEncoder())
        self.text, self.image = text.to(device).eval(), image.to(device).eval()
        self.generator = Generator(len(sides), 32 // shrink).to(device)
        self.discriminators = [Discriminator(s, 64 // shrink).to(device) for s in sides]
        self.keep = 0.999  # of the averaged weights, at each step
        self.average = [p.detach().clone() for p in self.generator.parameters()]
        self.optimizer = torch.optim.Adam(self.generator.parameters(), 2e-4, (0.5, 0.999))
        self.optimizers = [torch.optim.Adam(d.parameters(), 2e-4, (0.5, 0.999)) for d in self.discriminators]

    def step(self, real: list[Tensor], tokens: Tensor, species: Tensor) -> dict[str, float]:
        """Train on real pictures of each size with their captions; seconds of the three parts of the step."""
        begin = time.perf_counter()
        with torch.no_grad():
            words, sentence = self.text(tokens)
        noise = torch.randn(len(tokens), NOISE, device=tokens.device)
        fake, mean, log_variance = self.generator(noise, sentence, words)
        painted = time.perf_counter()
        ones, zeros = torch.ones(len(tokens), device=tokens.device), torch.zeros(len(tokens), device=tokens.device)
        bce = F.binary_cross_entropy
        for discriminator, optimizer, photo, painting in zip(
            self.discriminators, self.optimizers, real, fake, strict=True
        ):
            optimizer.zero_grad()
            r, f = discriminator.features(photo), discriminator.features(painting.detach())
            right = bce(discriminator.judge(r), ones) + bce(discriminator.pair(r, sentence), ones)
            wrong = bce(discriminator.judge(f), zeros) + bce(discriminator.pair(f, sentence), zeros)
            wrong = wrong + bce(discriminator.pair(r[:-1], sentence[1:]), zeros[1:])
            (right / 2 + wrong / 3).backward()
            optimizer.step()
        judged = time.perf_counter()
        self.optimizer.zero_grad()
        total: Any = 0
        for discriminator, painting in zip(self.discriminators, fake, strict=True):
            f = discriminator.features(painting)
            total = total + bce(discriminator.judge(f), ones) + bce(discriminator.pair(f, sentence), ones)
        regions, whole = self.image(fake[-1])
        total = total + LAMBDA * (words_loss(words, regions, species) + sentence_loss(sentence, whole, species))
        total = total - 0.5 * (1 + log_variance - mean**2 - log_variance.exp()).mean()
        total.backward()
        self.optimizer.step()
        for average, weight in zip(self.average, self.generator.parameters(), strict=True):
            average.mul_(self.keep).add_(weight.detach(), alpha=1 - self.keep)
        parts = {"generator_forward": painted - begin, "discriminators": judged - painted}
        return {**parts, "generator_step": time.perf_counter() - judged}
