"""AttnGAN's published files as networks of ours: its names of tensors, and which of ours each of them is.

The names are those of the public code of AttnGAN (Xu et al. 2018): `netG` of the generator with attention, and the
encoders of DAMSM, RNN_ENCODER and CNN_ENCODER. Widths and numbers of layers are told by the shapes.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from attngan.networks.generator import Generator
from attngan.networks.image_encoder import ImageEncoder, InceptionTrunk
from attngan.networks.text_encoder import TextEncoder
from datasets.captions import PAD, UNKNOWN, Vocabulary
from datasets.errors import InputError
from datasets.plain_pickle import read_plain_pickle

GENERATOR, TEXT, IMAGE = "AttnGAN's netG.pth", "DAMSM's text_encoder.pth", "DAMSM's image_encoder.pth"
NORM = ("weight", "bias", "running_mean", "running_var")
COUNTER = "num_batches_tracked"  # which files of old versions of torch lack
State = dict[str, Tensor]


def generator_from(state: State, path: Path) -> Generator:
    """The generator that `state` holds, of any number of stages, widths and residual blocks.

    Raises:
        InputError: if it holds another network.
    """
    stages = sum(1 for name in state if re.fullmatch(r"img_net\d+\.img\.0\.weight", name))
    blocks = sum(1 for name in state if re.fullmatch(r"h_net2\.residual\.\d+\.block\.0\.weight", name))
    dimension, conditioning = (
        _shape(state, "ca_net.fc.weight", 2, path, GENERATOR)[1],
        len(state["ca_net.fc.weight"]) // 4,
    )
    style = _shape(state, "h_net1.fc.0.weight", 2, path, GENERATOR)[1]
    width = _shape(state, "img_net1.img.0.weight", 4, path, GENERATOR)[1]
    doublings = sum(1 for name in state if re.fullmatch(r"h_net1\.upsample\d+\.1\.weight", name))
    if not (1 <= stages <= 8 and 1 <= doublings <= 8 and (blocks or stages == 1) and style > conditioning >= 1):
        raise InputError(f"{path}: not {GENERATOR}, whose tensors have other names or shapes; give the right file")
    network = Generator(
        stages=stages,
        base=4 * 2**doublings,
        widths=(width,),
        blocks=(blocks,),
        max_width=width * 2**doublings,
        noise=style - conditioning,
        conditioning=conditioning,
        dimension=dimension,
        affine=False,
        skip=False,
    )
    pairs = {"augmentation.project.weight": "ca_net.fc.weight", "augmentation.project.bias": "ca_net.fc.bias"}
    pairs |= {"initial.seed.0.weight": "h_net1.fc.0.weight", **_norm("initial.seed.1", "h_net1.fc.1")}
    for number in range(doublings):
        pairs |= _gated(f"initial.ups.{number}.gated", f"h_net1.upsample{number + 1}", 1)
    for stage in range(stages - 1):
        ours, theirs = f"refine.{stage}", f"h_net{stage + 2}"
        words = f"{theirs}.att.conv_context.weight"
        pairs[f"{ours}.project_words.weight"] = words
        if words in state and state[words].dim() == 4:  # of a convolution over pictures one pixel wide
            state = {**state, words: state[words].squeeze(3)}
        for block in range(blocks):
            body = f"{theirs}.residual.{block}.block"
            pairs |= _gated(f"{ours}.blocks.{block}.gated", body, 0)
            pairs |= {f"{ours}.blocks.{block}.conv.weight": f"{body}.3.weight"}
            pairs |= _norm(f"{ours}.blocks.{block}.norm", f"{body}.4")
        pairs |= _gated(f"{ours}.up.gated", f"{theirs}.upsample", 1)
    pairs |= {f"heads.{stage}.weight": f"img_net{stage + 1}.img.0.weight" for stage in range(stages)}
    _fill(network, state, pairs, path, GENERATOR)
    return network.eval().requires_grad_(False)


def text_encoder_from(state: State, vocabulary: Vocabulary, path: Path) -> TextEncoder:
    """The text encoder that `state` holds; its cell, LSTM or GRU, is told by the shapes.

    Raises:
        InputError: if it holds another network, or one of another vocabulary.
    """
    words, embedding = _shape(state, "encoder.weight", 2, path, TEXT)
    gates, hidden = _shape(state, "rnn.weight_hh_l0", 2, path, TEXT)
    if words != len(vocabulary) - 1:
        raise InputError(
            f"{path}: knows {words:,} words, the captions {len(vocabulary) - 1:,}; take both from the same model"
        )
    network = TextEncoder(
        n_words=len(vocabulary),
        embedding=embedding,
        dimension=2 * hidden,
        cell="gru" if gates == 3 * hidden else "lstm",
    )
    table = state["encoder.weight"]
    unknown = table.mean(0, keepdim=True)  # of which nothing is published: no caption is read as it, see `Vocabulary`
    state = {**state, "encoder.weight": torch.cat([table[:1], unknown, table[1:]])}
    pairs = {"embedding.weight": "encoder.weight"}
    pairs |= {
        name: name.replace("recurrent.", "rnn.") for name in network.state_dict() if name.startswith("recurrent.")
    }
    _fill(network, state, pairs, path, TEXT)
    return network.eval().requires_grad_(False)


def image_encoder_from(state: State, path: Path) -> ImageEncoder:
    """The image encoder that `state` holds: Inception-v3, as it was when DAMSM was trained, and two projections.

    Raises:
        InputError: if it holds another network.
    """
    dimension = _shape(state, "emb_cnn_code.weight", 2, path, IMAGE)[0]
    network = ImageEncoder(InceptionTrunk(), dimension=dimension)
    pairs = {"project_local.weight": "emb_features.weight"}
    pairs |= {f"project_pooled.{part}": f"emb_cnn_code.{part}" for part in ("weight", "bias")}
    for name in network.trunk.state_dict():
        if name.endswith(COUNTER):
            continue
        half, number, rest = name.split(".", 2)
        pairs[f"trunk.{name}"] = f"{network.trunk.names[half][int(number)]}.{rest}"
    _fill(network, state, pairs, path, IMAGE)
    return network.eval().requires_grad_(False)


def read_vocabulary(path: Path) -> Vocabulary:
    """The words of captions.pickle, of which published models skip those that they do not know.

    Ours has a word more, for what is unknown, after the padding.

    Raises:
        InputError: if the file is missing, damaged, or holds something else.
    """
    held = read_plain_pickle(path)
    words = held[2] if isinstance(held, list | tuple) and len(held) == 4 else None
    numbers = range(len(words)) if isinstance(words, dict) else ()
    if not isinstance(words, dict) or not all(isinstance(words.get(number), str) for number in numbers):
        raise InputError(f"{path}: holds no words by their numbers; give the captions.pickle of the model")
    found = [words[number] for number in numbers]
    if len(found) < 2 or found[0] != PAD or len(set(found)) < len(found) or UNKNOWN in found:
        raise InputError(f"{path}: its words do not begin with {PAD}, or are not all different; give the original")
    return Vocabulary([PAD, UNKNOWN, *found[1:]], skips_unknown=True)


def _norm(ours: str, theirs: str) -> dict[str, str]:
    return {f"{ours}.{part}": f"{theirs}.{part}" for part in NORM}


def _gated(ours: str, theirs: str, first: int) -> dict[str, str]:
    """A convolution and the batch norm behind it, numbers `first` and `first + 1` of their sequence."""
    return {f"{ours}.conv.weight": f"{theirs}.{first}.weight", **_norm(f"{ours}.norm", f"{theirs}.{first + 1}")}


def _shape(state: State, name: str, dimensions: int, path: Path, what: str) -> tuple[int, ...]:
    if name not in state or state[name].dim() != dimensions:
        raise InputError(f"{path}: not {what} ({name} is missing or of another kind); give the right file")
    return tuple(state[name].shape)


def _fill(network: Any, state: State, pairs: Mapping[str, str], path: Path, what: str) -> None:
    """Give `network` the tensors of `state`; every one of these must be used, and fit.

    Biases that the published network lacks become 0.
    """
    left = {name for name in state if not name.endswith(COUNTER)} - set(pairs.values())
    if left:
        raise InputError(f"{path}: not {what} ({min(left)} is not known); give the right file")
    filled = {}
    for name, value in network.state_dict().items():
        theirs = state.get(pairs.get(name, ""))
        if name in pairs and (theirs is None or theirs.shape != value.shape):
            found = "missing" if theirs is None else f"{list(theirs.shape)}, not {list(value.shape)}"
            raise InputError(f"{path}: not {what} ({pairs[name]} is {found}); give the right file")
        filled[name] = torch.zeros_like(value) if theirs is None else theirs.to(value.dtype)
        if not filled[name].isfinite().all():
            raise InputError(f"{path}: {pairs[name]} is not finite; get the file again")
    network.load_state_dict(filled)
