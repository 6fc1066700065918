"""The basic colours that a caption says a bird has."""

from collections.abc import Sequence

import torch
from torch import Tensor

from datasets.captions import tokenize

COLOURS = ("black", "white", "grey", "brown", "red", "orange", "yellow", "green", "blue", "purple", "pink")
SYNONYMS = {  # "cream" and the like are left out: people write them of white, yellow and brown alike
    "black": "blackish ebony",
    "white": "whitish whiteish snowy ivory",
    "grey": "gray greyish grayish grays silver silvery slate charcoal ash ashy smoky",
    "brown": "tan beige buff buffy sandy taupe khaki tawny rust rusty rufous russet chestnut auburn copper bronze "
    "chocolate coffee cinnamon",
    "red": "reddish redish crimson scarlet ruby maroon burgundy",
    "orange": "orangish orangeish amber peach",
    "yellow": "gold golden mustard lemon",
    "green": "olive lime emerald chartreuse",
    "blue": "bluish blueish navy cobalt indigo azure teal turquoise aqua aquamarine cyan",
    "purple": "purplish purpleish violet lavender lilac",
    "pink": "rose rosy salmon coral magenta fuchsia",
}
MEANING = {
    word: colour for colour in COLOURS for word in (colour, colour + "s", colour + "ish", *SYNONYMS[colour].split())
}  # from a word to its basic colour


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


SMALL_PARTS = _words(
    "beak beaks beaked bill bills billed eye eyes eyed eyering eyerings ring rings pupil pupils foot feet footed leg "
    "legs legged tarsus tarsi tarsuses tarsal tarsals toes claws talons"
)
_ADJECTIVES = _words(
    "color colored coloured colour ish dark darker light lighter bright very tinted long short small medium large big "
    "tiny little thin thick skinny narrow flat round straight curved hooked pointed pointy sharp stubby conical "
    "triangular downward webbed beady pair of s"
)
_NEGATIONS = _words("no not without lack lacks lacking neither nor never non t")  # t: of "isn't"
_CARRY = _words("or nor any a the all really very visible")  # a negation holds on across these


def colour_words(caption: str, *, small_parts: bool = False) -> set[str]:
    """The basic colours that a caption says the bird has, out of `COLOURS`; synonyms in `SYNONYMS`.

    "blueish" is blue, "no red or pink" is neither.

    Args:
        small_parts: also those of beak, eyes and legs ("an orange bill", "its feet are black"), which are a few pixels.
    """
    words = tokenize(caption)
    return {
        MEANING[word]
        for place, word in enumerate(words)
        if word in MEANING and not _negated(words, place) and (small_parts or not _of_small_part(words, place))
    }


def _negated(words: Sequence[str], place: int) -> bool:
    for word in reversed(words[:place]):
        if word in _NEGATIONS:
            return True
        if word not in _CARRY and word not in MEANING:
            return False
    return False


def _of_small_part(words: Sequence[str], place: int) -> bool:
    """Whether the word there is of a small part: as "black and white eyes" or as "eyes that are black and white"."""
    after = place + 1
    while after < len(words) and words[after] not in SMALL_PARTS and _links(words, after):
        after += 1
    if after < len(words) and words[after] in SMALL_PARTS:
        return True
    before = place - 1
    while before > 0 and _links(words, before):
        before -= 1
    if before < 0 or words[before] not in ("is", "are"):
        return False
    before -= 1 + (words[before - 1] in ("that", "which"))
    return before >= 0 and words[before] in SMALL_PARTS


def _links(words: Sequence[str], place: int) -> bool:
    """Whether a word may stand between a colour and what has it; "and" only before another colour."""
    if words[place] in ("and", "or"):
        return any(word in MEANING for word in words[place + 1 : place + 3])
    return words[place] in MEANING or words[place] in _ADJECTIVES


def named_colours(captions: Sequence[str]) -> Tensor:
    """Which of `COLOURS` each of B captions names: [B, 11] bool."""
    words = [colour_words(caption) for caption in captions]
    return torch.tensor([[colour in each for colour in COLOURS] for each in words], dtype=torch.bool).view(
        -1, len(COLOURS)
    )
