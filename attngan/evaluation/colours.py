"""Are the colours that a caption names in the picture? A check that a person can repeat.

A colour word counts as right if its share of the bird's pixels exceeds what is usual for pictures not so described.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from attngan.evaluation.colour_words import COLOURS, named_colours
from datasets.errors import InputError

SIDE = 64  # px at which pictures are looked at; larger ones are averaged down to it
CENTRE = 0.4  # standard deviation of the weight about the centre, in half sides
BORDER = 0.75  # pixels this far from the centre or farther, in half sides, are background
CELL = 14.0  # side of the cells of CIELAB by which a colour of the background is recognised
HUES = (  # up to which hue in degrees, from the one before
    (14, "red"),
    (36, "orange"),
    (64, "yellow"),
    (170, "green"),
    (250, "blue"),
    (317, "purple"),
    (342, "pink"),
    (360, "red"),
)
LEAST_SHARE = 2e-4  # smallest threshold: a share below that of one pixel of the bird
# scripts/fit_colour_thresholds.py on the 8266 training photographs of CUB, with 10 captions each
_FITTED = (0.06441, 0.03523, 0.19175, 0.35158, 0.00021, 0.00047, 0.02131, 0.03651, 0.00694, 0.0003, 0.00701)
THRESHOLDS = dict(zip(COLOURS, _FITTED, strict=True))


class Hits(NamedTuple):
    """Which colours each of B captions names, and which its picture has more of than is usual: [B, 11] bool each."""

    said: Tensor
    shown: Tensor

    @property
    def right(self) -> Tensor:
        """The colours that are said and shown: [B, 11] bool."""
        return self.said & self.shown


class Agreement(NamedTuple):
    """Share of colour words that are right, in percent: of own pictures, and of pictures of other species."""

    own: float
    exchanged: float


def colour_shares(pictures: Tensor) -> Tensor:
    """How much of the bird has each of `COLOURS`: [B, 11] float32 from 0 to 1, rows sum to 1.

    A pixel weighs by a Gaussian about the centre (`CENTRE`), times the fourth power of how much more often its colour
    is near the centre than at the border (`BORDER`), since birds are central and backgrounds reach the border.

    Args:
        pictures: [B, 3, S, S] in [-1, 1]; above 64 px they are averaged down to that.

    Raises:
        InputError: for another shape, or values that are not finite.
    """
    if pictures.dim() != 4 or pictures.shape[1] != 3 or min(pictures.shape[2:], default=0) < 8:
        raise InputError(f"pictures: of shape {list(pictures.shape)}, should be [B, 3, S, S] with S of at least 8")
    if not torch.isfinite(pictures).all():
        raise InputError("pictures: not finite; the network that painted them has diverged, train it again")
    chunks = [_shares(chunk) for chunk in pictures.split(64) if len(chunk)]
    return torch.cat(chunks) if chunks else torch.zeros(0, len(COLOURS), device=pictures.device)


def _shares(pictures: Tensor) -> Tensor:
    colours = pictures.float()
    if max(colours.shape[2:]) > SIDE:
        colours = F.interpolate(colours, size=(SIDE, SIDE), mode="area")
    height, width = colours.shape[2:]
    rgb = (colours.clamp(-1, 1) / 2 + 0.5).flatten(2).transpose(1, 2)  # [B, P, 3]
    y, x = torch.meshgrid(_places(height), _places(width), indexing="ij")
    centre = torch.exp((x.square() + y.square()) / (-2 * CENTRE**2)).flatten().to(rgb.device)
    border = (torch.maximum(x.abs(), y.abs()) >= BORDER).float().flatten().to(rgb.device)
    lab = cielab(rgb)
    cell = (lab / CELL).round().long() + 8  # lightness from 8 to 15, the others from 0 to 15
    cell = (cell[..., 0] * 16 + cell[..., 1]) * 16 + cell[..., 2]
    near, far = (
        rgb.new_zeros(len(rgb), 16**3).scatter_add(1, cell, (each / each.sum()).expand_as(cell)).gather(1, cell)
        for each in (centre, border)
    )
    weight = centre * (near / (near + far)) ** 4
    shares = rgb.new_zeros(len(rgb), len(COLOURS)).scatter_add(1, basic_colours(rgb, lab), weight)
    return shares / shares.sum(1, keepdim=True)


def _places(side: int) -> Tensor:
    """Centres of pixels from -1 to 1."""
    return (torch.arange(side) + 0.5) * 2 / side - 1


def basic_colours(rgb: Tensor, lab: Tensor) -> Tensor:
    """Which of `COLOURS` each colour [..., 3] is, in sRGB from 0 to 1 and in CIELAB: [...] int64.

    Lightness L and chroma C are those of CIELAB (D65), the hue H that of HSV in degrees. In this order:

    1. no colour where C < 7, C < 14 where L > 65, or C < 16 for H from 75 to 342: black for L < 22, white for L > 72,
       else grey;
    2. by hue red up to 14, orange up to 36, yellow up to 64, green up to 170, blue up to 250, purple up to 317, pink up
       to 342, then red again;
    3. red is pink where L > 55 and C < 77;
    4. what then is red, orange or yellow is brown where C < 36; orange and yellow also where L < 40 and C < 60.
    """
    light, chroma, hue = lab[..., 0], lab[..., 1:].norm(dim=-1), _hue(rgb)
    number = {name: k for k, name in enumerate(COLOURS)}
    limits, names = zip(*HUES, strict=True)
    by_hue = torch.tensor([number[name] for name in names]).to(rgb.device)
    colour = by_hue[torch.bucketize(hue, torch.tensor(limits[:-1], dtype=hue.dtype).to(rgb.device), right=True)]
    red, warm = colour == number["red"], (colour >= number["red"]) & (colour <= number["yellow"])
    pink = red & (light > 55) & (chroma < 77)
    brown = warm & ~pink & ((chroma < 36) | (~red & (light < 40) & (chroma < 60)))
    colour = colour.masked_fill(pink, number["pink"]).masked_fill(brown, number["brown"])
    least = torch.where(light > 65, 14.0, 7.0).masked_fill((hue >= 75) & (hue < 342), 16)
    plain = torch.where(light < 22, number["black"], torch.where(light > 72, number["white"], number["grey"]))
    return torch.where(chroma < least, plain, colour)


def cielab(rgb: Tensor) -> Tensor:
    """CIELAB under D65 of sRGB [..., 3] from 0 to 1 (IEC 61966-2-1, CIE 15)."""
    linear = torch.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    to_xyz = rgb.new_tensor(
        [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
    )
    xyz = (linear @ to_xyz.t() / to_xyz.sum(1)).clamp(min=0)
    x, y, z = torch.where(xyz > 216 / 24389, xyz ** (1 / 3), (24389 / 27 * xyz + 16) / 116).unbind(-1)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1)


def _hue(rgb: Tensor) -> Tensor:
    """Hue of HSV in degrees from 0 to 360; 0 for greys."""
    r, g, b = rgb.unbind(-1)
    most, least = rgb.amax(-1), rgb.amin(-1)
    spread = (most - least).clamp(min=1e-9)
    sixths = torch.where(
        most == r, (g - b) / spread, torch.where(most == g, (b - r) / spread + 2, (r - g) / spread + 4)
    )
    return (60 * sixths) % 360


def colour_hits(shares: Tensor, captions: Sequence[str], thresholds: Mapping[str, float] = THRESHOLDS) -> Hits:
    """Which colour words of each caption its picture bears out.

    Not all are right even of a photograph, and noise or gaudy colours make more of them right, of whatever caption; so
    judge by `agreement`.

    Args:
        shares: [B, 11] of `colour_shares`. captions: B, of which `colour_words` counts.
        thresholds: shares above which a colour is shown; words without one are left out. By default fitted to the
            photographs of CUB.

    Raises:
        InputError: for not as many captions as pictures.
    """
    if len(shares) != len(captions):
        raise InputError(f"captions: {len(captions)} for {len(shares)} pictures; give one for each")
    limits = shares.new_tensor([thresholds.get(colour, float("nan")) for colour in COLOURS])
    return Hits(named_colours(captions).to(shares.device) & limits.isfinite(), shares > limits)


def agreement(
    shares: Tensor, captions: Sequence[str], species: Tensor, thresholds: Mapping[str, float] = THRESHOLDS
) -> dict[str, Agreement]:
    """How often colour words are right, of own pictures and with pictures exchanged, by colour and "all" together.

    On the 2933 test photographs of CUB (50 species not in training) with all 10 captions of each:

                   all  black white grey brown  red orange yellow green blue purple pink
        own       65.3   62.1  62.0 63.0  66.5 60.9   72.9   74.2  63.4 85.5   47.6 70.2
        exchanged 40.8   49.8  46.6 44.5  39.8 13.1   26.4   22.5  30.6 26.7   10.3 11.9

    Black, white and grey tell least: most birds have some of each. The difference of 24.5 in all is 24.4 at 256 px
    averaged down, 22.7 blurred to 24 px, 23.2 and 24.5 at 15 % less and more light, 17.6 under noise of deviation 0.15,
    16.2 at 0.6 of the contrast, 5.7 without colour and 7.1 with red and blue exchanged.

    Args:
        shares: [B, 11] of `colour_shares`. captions: B. species: [B]; pictures are exchanged between species, and the
            figure is what all such exchanges give on average.

    Raises:
        InputError: for fewer than 2 species, or not as many captions as pictures.
    """
    hits = colour_hits(shares, captions, thresholds)
    exchanged = torch.zeros(len(COLOURS), dtype=torch.float64)
    if len(kinds := species.unique()) < 2:
        raise InputError("species: all pictures are of one; colours are exchanged between species, give more")
    for kind in kinds:
        same = (species == kind).to(shares.device)
        exchanged += (hits.said[same].sum(0) * hits.shown[~same].double().mean(0)).cpu()
    total, right = hits.said.sum(0).cpu().double(), hits.right.sum(0).cpu().double()
    counts = {name: (total[k], right[k], exchanged[k]) for k, name in enumerate(COLOURS) if total[k]}
    if counts:
        counts["all"] = (total.sum(), right.sum(), exchanged.sum())
    return {name: Agreement(*(float(100 * part / n) for part in parts)) for name, (n, *parts) in counts.items()}
