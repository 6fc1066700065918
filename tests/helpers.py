"""What tests of several packages share: refusals, and small networks of random weights in files as training writes."""

import pytest
import torch

from attngan.evaluation.classifier import Classifier
from attngan.networks.encoders import build_image_encoder
from attngan.networks.text_encoder import TextEncoder
from attngan.runtime import checkpoint
from datasets.errors import InputError

IMAGE = {"trunk": "scratch", "size": 32, "width": 4, "blocks": [1, 1, 1, 1]}
WORDS = ("a", "small", "yellow", "red", "bird", "with", "black", "wings", "head", "this", "has", "and")
MARKS = ("<end>", "<unk>")


def refused(action, *words):
    """Do what must be refused in one line that holds all `words`; gives the line."""
    with pytest.raises(InputError) as caught:
        action()
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert str(word) in message, message
    return message


def warnings_of(recorded):
    """What a test's own code warned of. A file that an earlier test forgot is told whenever it is collected."""
    return [each.message for each in recorded if not issubclass(each.category, ResourceWarning)]


def write_damsm(path, seed=3, vocabulary=(*MARKS, *WORDS), cell="lstm", **about):
    """A DAMSM from text that knows the words of `vocabulary`."""
    torch.manual_seed(seed)
    state = {
        "image": build_image_encoder({**IMAGE, "weights": None}).state_dict(),
        "caption": TextEncoder(n_words=len(vocabulary), cell=cell).state_dict(),
    }
    written = {"kind": "damsm-weights", "image": IMAGE, "caption": "text", "vocabulary": list(vocabulary), "cell": cell}
    checkpoint.save(path, state, {**written, **about})


def write_classifier(path, seed=1, n_species=5):
    """A classifier of so many species."""
    torch.manual_seed(seed)
    network = Classifier(n_species=n_species, size=32, width=4, blocks=(1, 1, 1, 1))
    checkpoint.save(path, network.state_dict(), {"kind": "classifier-weights", "classifier": network.arguments})
