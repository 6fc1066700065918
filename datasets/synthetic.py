"""Drawn birds with exact attributes: data for tests, smoke runs and benches that needs no download."""

import functools
import math
import random
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace

import numpy as np
from PIL import Image, ImageDraw

from datasets import picture_file
from datasets.cli import check_range
from datasets.picture_record import Entry, split_species

Point = tuple[float, float]
RGB = tuple[int, int, int]

COLOURS: dict[str, RGB] = {
    "red": (206, 38, 40),
    "orange": (238, 130, 30),
    "yellow": (246, 212, 52),
    "green": (58, 142, 66),
    "blue": (44, 92, 196),
    "brown": (122, 78, 44),
    "black": (28, 28, 32),
    "grey": (136, 140, 146),
    "white": (244, 244, 240),
}
BACKGROUNDS: dict[str, tuple[RGB, RGB]] = {  # top and bottom of the picture
    "sky": ((150, 196, 236), (208, 228, 244)),
    "leaves": ((98, 150, 92), (142, 182, 118)),
    "water": ((126, 176, 190), (72, 122, 152)),
    "sand": ((222, 208, 172), (186, 160, 116)),
}
BEAKS = {"short": 0.5, "long": 1.25}  # length, in radii of the head
SIZES = {"small": 0.72, "large": 1.0}
SUPERSAMPLING = 4
SIZE_RANGE = (16, 2048)


@dataclass(frozen=True)
class BirdAttributes:
    """What is true of one bird; the four colours and the beak make its species.

    Attributes:
        body, head, wing, belly: a name in `COLOURS`.
        beak: a name in `BEAKS`.
        size: a name in `SIZES`.
        background: a name in `BACKGROUNDS`.
    """

    body: str
    head: str
    wing: str
    belly: str
    beak: str = "short"
    size: str = "large"
    background: str = "sky"


def species_attributes(n_species: int, seed: int) -> list[BirdAttributes]:
    """Choose `n_species` different looks; size and background are the defaults, to be varied by individuals.

    Raises:
        InputError: for fewer than 1 or more than 1000 species.
    """
    check_range("n_species", n_species, 1, 1000)
    chance, found = random.Random(f"species/{seed}"), dict[BirdAttributes, None]()
    while len(found) < n_species:
        body, head, wing, belly = (chance.choice(list(COLOURS)) for _ in range(4))
        found[BirdAttributes(body, head, wing, belly, beak=chance.choice(list(BEAKS)))] = None
    return list(found)


def individual(species: BirdAttributes, seed: int) -> BirdAttributes:
    """One bird of `species`: its own size, before its own background."""
    chance = random.Random(f"individual/{seed}")
    return replace(species, size=chance.choice(list(SIZES)), background=chance.choice(list(BACKGROUNDS)))


class _Pose:
    """Where a bird stands: from its own coordinates (body length about 1, y down) to pixels."""

    def __init__(self, chance: random.Random, scale: float, pixels: int) -> None:
        self.scale = scale * chance.uniform(0.92, 1.08) * pixels * 0.52
        self.x = pixels * chance.uniform(0.46, 0.54)
        self.y = pixels * chance.uniform(0.50, 0.56)
        self.side = chance.choice((-1, 1))
        self.angle = math.radians(chance.uniform(-28, 4))  # the head is usually the higher end

    def at(self, x: float, y: float) -> Point:
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        return self.x + self.side * self.scale * (x * cos - y * sin), self.y + self.scale * (x * sin + y * cos)

    def ellipse(self, x: float, y: float, width: float, height: float, tilt: float = 0.0) -> list[Point]:
        """Outline of an ellipse about (x, y) with half-axes `width` and `height`, turned by `tilt` radians."""
        points = []
        for step in range(48):
            a, b = width * math.cos(step * math.pi / 24), height * math.sin(step * math.pi / 24)
            points.append(
                self.at(x + a * math.cos(tilt) - b * math.sin(tilt), y + a * math.sin(tilt) + b * math.cos(tilt))
            )
        return points


def _backdrop(name: str, pixels: int, chance: random.Random) -> Image.Image:
    """A smooth gradient with soft blotches, `pixels` square."""
    top, bottom = (np.array(colour, np.float32) for colour in BACKGROUNDS[name])
    noise = np.random.default_rng(chance.getrandbits(32))
    fade = np.linspace(0, 1, 8, dtype=np.float32)[:, None, None]
    cells = top + (bottom - top) * fade + noise.normal(0, 9, (8, 8, 1)) + noise.normal(0, 3, (8, 8, 3))
    picture = Image.fromarray(cells.clip(0, 255).astype(np.uint8))
    return picture.resize((pixels, pixels), Image.Resampling.BICUBIC)


def _shade(colour: str, light: float) -> RGB:
    r, g, b = (min(255, round(channel * light)) for channel in COLOURS[colour])
    return r, g, b


def draw(attributes: BirdAttributes, size: int, seed: int) -> np.ndarray:
    """Draw one bird as uint8 `[size, size, 3]` RGB; pose, position and shades vary with `seed`.

    Raises:
        InputError: for a size below 16 or above 2048 pixels.
    """
    check_range("size", size, *SIZE_RANGE)
    chance = random.Random(f"draw/{seed}")
    pixels = size * SUPERSAMPLING
    picture = _backdrop(attributes.background, pixels, chance)
    pen = ImageDraw.Draw(picture)
    pose = _Pose(chance, SIZES[attributes.size], pixels)
    light = chance.uniform(0.92, 1.04)
    head, radius = (0.43, -0.30), 0.19
    line = max(1, round(0.035 * pose.scale))
    for foot in (-0.04, 0.10):
        hip = pose.at(foot, 0.24)
        pen.line((hip, (hip[0], hip[1] + 0.24 * pose.scale)), fill=(92, 70, 52), width=line)
        toe = hip[0] + pose.side * 0.1 * pose.scale
        pen.line(
            ((hip[0], hip[1] + 0.24 * pose.scale), (toe, hip[1] + 0.25 * pose.scale)), fill=(92, 70, 52), width=line
        )
    droop = chance.uniform(0.0, 0.14)
    tail = [pose.at(-0.34, -0.08), pose.at(-0.86, droop - 0.06), pose.at(-0.82, droop + 0.10), pose.at(-0.34, 0.12)]
    pen.polygon(tail, fill=_shade(attributes.wing, 0.9 * light))
    tip = (head[0] + radius * (0.9 + BEAKS[attributes.beak]), head[1] + 0.04)
    beak = [pose.at(head[0] + 0.12, head[1] - 0.07), pose.at(*tip), pose.at(head[0] + 0.12, head[1] + 0.09)]
    pen.polygon(beak, fill=(222, 158, 54))
    pen.polygon(pose.ellipse(0.0, 0.0, 0.47, 0.29, tilt=-0.18), fill=_shade(attributes.body, light))
    pen.polygon(pose.ellipse(0.12, 0.12, 0.31, 0.15, tilt=-0.25), fill=_shade(attributes.belly, light))
    pen.polygon(pose.ellipse(*head, radius, radius), fill=_shade(attributes.head, light))
    lift = chance.uniform(-0.1, 0.12)
    pen.polygon(pose.ellipse(-0.14, -0.07, 0.33, 0.14, tilt=lift), fill=_shade(attributes.wing, light))
    for feather in (0.0, 0.05, 0.10):
        ends = (pose.at(-0.40, -0.09 + feather), pose.at(-0.05, -0.07 + feather))
        pen.line(ends, fill=_shade(attributes.wing, 0.78 * light), width=max(1, line // 3))
    eye = (head[0] + 0.07, head[1] - 0.04)
    pen.polygon(pose.ellipse(*eye, 0.05, 0.05), fill=(250, 248, 240))
    pen.polygon(pose.ellipse(*eye, 0.034, 0.034), fill=(12, 12, 14))
    return np.asarray(picture.resize((size, size), Image.Resampling.BOX))


TEMPLATES = (
    "this bird has a {head} head and {wing} wings with a {beak} beak",
    "a {size} bird with a {body} body a {belly} belly and a {beak} beak",
    "this {size} bird is {body} with {wing} wings and a {head} head",
    "the bird has a {belly} belly {wing} wings and a {head} crown",
    "a {body} bird with a {head} head a {belly} belly and {wing} wings",
    "this is a {size} bird with {wing} wings a {body} back and a {beak} bill",
    "bird with a {head} crown a {beak} bill and a {belly} breast",
    "this bird is {body} and {wing} in color with a {beak} beak",
)


def sentences(attributes: BirdAttributes, count: int, seed: int) -> list[str]:
    """`count` true sentences about the bird, in lower case without punctuation, as in the captions of CUB.

    None comes twice before every template has been used.
    """
    chance, found = random.Random(f"describe/{seed}"), list[str]()
    words = asdict(attributes)
    while len(found) < count:
        # "brown and brown in color" is true, but nobody says so.
        fitting = [t for t in TEMPLATES if attributes.body != attributes.wing or "{body} and {wing}" not in t]
        chance.shuffle(fitting)
        found += [re.sub(r"\ba orange", "an orange", template.format(**words)) for template in fitting]
    return found[:count]


def describe(attributes: BirdAttributes, seed: int) -> str:
    """One true sentence about the bird (see `sentences`); which one depends on `seed`."""
    return sentences(attributes, 1, seed)[0]


def _individuals(count: int, species: int, seed: int) -> Iterator[tuple[int, BirdAttributes, int]]:
    """For each bird: the index of its species, its attributes, and a seed of its own."""
    looks = species_attributes(species, seed)
    for index in range(count):
        own = random.Random(f"bird/{seed}/{index}").getrandbits(32)
        yield index % species, individual(looks[index % species], own), own


def birds(
    count: int, species: int, size: int, seed: int, *, captions: int = 10
) -> Iterator[tuple[np.ndarray, int, BirdAttributes, list[str]]]:
    """Yield `count` birds, the species in turn, each with `captions` descriptions.

    Yields:
        picture uint8 `[size, size, 3]`, index of the species, attributes, captions.

    Raises:
        InputError: for a `size` or a number of `species` out of range.
    """
    for kind, attributes, own in _individuals(count, species, seed):
        yield draw(attributes, size, own), kind, attributes, sentences(attributes, captions, own)


def _encoded(attributes: BirdAttributes, size: int, seed: int) -> bytes:
    return picture_file.encode(Image.fromarray(draw(attributes, size, seed)))


def entries(count: int, species: int, size: int, seed: int, *, captions: int = 10) -> list[Entry]:
    """The birds of `birds` as entries for a corpus, drawn when asked for; about a sixth of the species per test split.

    Raises:
        InputError: for a `size` or a number of `species` out of range.
    """
    check_range("size", size, *SIZE_RANGE)
    made = []
    for index, (kind, attributes, own) in enumerate(_individuals(count, species, seed)):
        picture = functools.partial(_encoded, attributes, size, own)
        name, words = f"drawn_{index:06d}", sentences(attributes, captions, own)
        made.append(Entry(name, f"species_{kind:04d}", "", picture, words))
    splits = split_species([entry.species for entry in made], (1 / 6, 1 / 6), seed)
    for entry in made:
        entry.split = splits[entry.species]
    return made
