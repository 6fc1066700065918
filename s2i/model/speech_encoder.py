"""The speech embedding network: a log-mel becomes at most 32 segments and a sentence vector, a condition."""

import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attngan.networks.attention import masked_softmax
from attngan.networks.condition import DIMENSION, Condition, concatenate
from attngan.runtime import checkpoint
from datasets import audio, speech_activity
from datasets.declip import declip
from datasets.errors import InputError
from s2i.model import whisper_front

if TYPE_CHECKING:  # a name in annotations only; the module takes a second to import
    from datasets.loader import Batch


FRONTS = ("utterance", "speech", "whisper")
GROUP = 32  # recordings computed together


class MaskedConv(nn.Module):
    """1-D convolution, layer norm over channels and GELU; padding stays zero, so it cannot leak into speech.

    A shortcut is added where the shape allows it.
    """

    def __init__(self, channels_in: int, channels_out: int, kernel: int, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        self.stride = stride
        self.conv = nn.Conv1d(channels_in, channels_out, kernel, stride, kernel // 2 * dilation, dilation)
        self.norm = nn.LayerNorm(channels_out)
        self.has_shortcut = stride == 1 and channels_in == channels_out

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Take x [B, C, T] and mask [B, T] to [B, C', T / stride] and its mask."""
        y = F.gelu(self.norm(self.conv(x).transpose(1, 2))).transpose(1, 2)
        if self.has_shortcut:
            y = y + x
        mask = mask[:, :: self.stride]
        return y * mask[:, None], mask


class SpeechEncoder(nn.Module):
    """Convolutions to 12.5 Hz and two poolings: into segments and into a sentence.

    As in S2IGAN's encoder the sentence is an attention pooling over time, a softmax for each channel; unlike it, pads
    take no weight, and the sequence before pooling is kept: neighbouring frames are joined into at most `segments`
    equal stretches of time, which play the part that words play for a written caption. Dilated convolutions stand
    where S2IGAN has a recurrent network, as in DAVEnet; they see two seconds around each frame and compute all frames
    at once.

    Args:
        width: channels of the convolutions at 25 Hz.
        hidden: channels of the convolutions at 12.5 Hz.
        segments: the most segments of a recording.
        segment_frames: frames at 12.5 Hz that make a segment, unless that gives more than `segments`.
        dropout: of the frames that are pooled.
        dilations: of the residual convolutions at 12.5 Hz, one each.
        front: "speech" hears what is said and nothing of pauses (`speech_activity.speech`); "utterance", as the first
            trained encoders did, normalises over all frames, of which silence is a part; "whisper" takes what Whisper's
            frozen encoder makes of what is said (`whisper_front.WhisperFront`) for log-mels.
    """

    def __init__(
        self,
        *,
        width: int = 160,
        hidden: int = 192,
        segments: int = 32,
        segment_frames: int = 3,
        dimension: int = DIMENSION,
        dropout: float = 0.2,
        dilations: Sequence[int] = (1, 2, 4),
        front: str = "utterance",
    ) -> None:
        super().__init__()
        if front not in FRONTS:
            raise ValueError(f"front {front}: unknown; choose one of {', '.join(FRONTS)}")
        self.arguments: dict[str, Any] = {
            "width": width,
            "hidden": hidden,
            "segments": segments,
            "segment_frames": segment_frames,
            "dimension": dimension,
            "dropout": dropout,
            "dilations": list(dilations),
            "front": front,
        }
        self.front = front
        self.segments, self.segment_frames = segments, segment_frames
        first = (
            [MaskedConv(whisper_front.WIDTH, hidden, 5)]  # which comes at 12.5 Hz
            if front == "whisper"
            else [
                MaskedConv(audio.N_MELS, width, 9, stride=4),
                MaskedConv(width, width, 5),
                MaskedConv(width, hidden, 5, stride=2),
            ]
        )
        self.convs = nn.ModuleList([*first, *[MaskedConv(hidden, hidden, 5, dilation=each) for each in dilations]])
        self.dropout = nn.Dropout(dropout)
        self.attention = nn.Sequential(nn.Linear(hidden, 128), nn.Tanh(), nn.Linear(128, hidden))
        self.to_sentence = nn.Linear(hidden, dimension)
        self.to_segments = nn.Linear(hidden, dimension)

    def forward(self, mels: Tensor, mask: Tensor) -> Condition:
        """Encode log-mels [B, T, 40], not normalised, with mask [B, T]."""
        features, mask, _ = self.listen(mels, mask)
        x = features.transpose(1, 2)
        for conv in self.convs:
            x, mask = conv(x, mask)
        states = self.dropout(x.transpose(1, 2))
        weights = masked_softmax(self.attention(states), mask[:, :, None], dim=1)
        sentence = self.to_sentence((weights * states).sum(1))
        pooled, segment_mask = self._pool(states, mask)
        return Condition(sentence, self.to_segments(pooled).transpose(1, 2), segment_mask)

    def log_mel(self, wave: Tensor) -> Tensor:
        """The log-mel [T, 40] of a recording [N], 16 kHz, as this encoder wants it, or its front's features [T, W].

        Raises:
            InputError: if its front needs a package that is missing.
        """
        if self.front == "whisper":
            return whisper_front.shared()(wave)
        if self.front == "speech":
            wave = speech_activity.levelled(declip(wave))
        return audio.log_mel(wave)

    def listen(self, mels: Tensor, mask: Tensor) -> speech_activity.Speech:
        """Normalised features of log-mels [B, T, 40] with mask [B, T], as the encoder was trained on."""
        if self.front == "speech":
            return speech_activity.speech(mels.float(), mask)
        frames = torch.arange(mels.shape[1], device=mels.device).expand(len(mels), -1)
        if self.front == "whisper":
            return speech_activity.Speech(mels[..., : whisper_front.WIDTH].float(), mask, frames)
        return speech_activity.Speech(audio.normalise(mels, mask), mask, frames)

    def _pool(self, states: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Mean over equal stretches of time: [B, T, C] to [B, S, C] and the segments' mask [B, S]."""
        counts = self.segment_count(mask.sum(1))
        edges = segment_edges(mask.sum(1), counts)  # [B, S + 1]
        sums = F.pad(states.float() * mask[:, :, None], (0, 0, 1, 0)).cumsum(1)
        at_edges = sums.gather(1, edges[:, :, None].expand(-1, -1, states.shape[2]))
        lengths = (edges[:, 1:] - edges[:, :-1]).clamp_min(1)
        pooled = (at_edges[:, 1:] - at_edges[:, :-1]) / lengths[:, :, None]
        segment_mask = torch.arange(edges.shape[1] - 1, device=mask.device)[None] < counts[:, None]
        return pooled.to(states.dtype) * segment_mask[:, :, None], segment_mask

    def segment_count(self, lengths: Tensor) -> Tensor:
        """Segments of recordings that have `lengths` [B] frames after the convolutions."""
        return (lengths / self.segment_frames).ceil().long().clamp(1, self.segments)

    @property
    def stride(self) -> int:
        """Frames of the log-mel that make one frame after the convolutions."""
        return math.prod(conv.stride for conv in self.convs if isinstance(conv, MaskedConv))

    def spans(self, mel: Tensor) -> list[tuple[float, float]]:
        """The stretch of time of each segment, in seconds, of a log-mel [T, 40]; pauses belong to what is before.

        A log-mel, or what else `log_mel` gives.
        """
        heard = self.listen(mel[None], torch.ones(1, len(mel), dtype=torch.bool, device=mel.device))
        count = heard.mask.shape[1]
        length = torch.tensor([-(-count // self.stride)])
        edges = segment_edges(length, self.segment_count(length))[0] * self.stride
        if self.front == "whisper":
            times = mel[:, whisper_front.WIDTH].tolist()
            end = round(times[-1] + whisper_front.STEP, 2)
        else:
            times = [frame / audio.FRAMES_PER_SECOND for frame in heard.frames[0].tolist()]
            end = len(mel) / audio.FRAMES_PER_SECOND
        bounds = [round([*times, end][min(int(edge), count)], 2) for edge in edges]
        return list(pairwise([*bounds[:-1], end]))

    def encode(self, batch: "Batch") -> Condition:
        """The condition of a batch's recordings."""
        assert batch.mels is not None, "the loader was not asked for recordings"
        assert batch.mel_mask is not None
        return self._encode(batch.mels, batch.mel_mask)

    def hear(self, mels: Sequence[Tensor]) -> Condition:
        """The condition of N log-mels [T_i, 40], not normalised, where the encoder is."""
        stacked, mask = audio.stack_mels(list(mels))
        device = self.to_sentence.weight.device
        return self._encode(stacked.to(device), mask.to(device))

    def _encode(self, mels: Tensor, mask: Tensor) -> Condition:
        """As a call; recordings of like length are computed together, which saves padding.

        Raises:
            InputError: if they are not what `log_mel` gives.
        """
        wanted = whisper_front.WIDTH + 1 if self.front == "whisper" else audio.N_MELS
        if mels.shape[2] != wanted:
            raise InputError(
                f"recordings: have {mels.shape[2]} features a frame, the speech encoder of front {self.front} wants "
                f"{wanted}; give a corpus made for it ({whisper_front.MAKER} makes those of front whisper)"
            )
        lengths = mask.sum(1)
        order = lengths.argsort(stable=True)
        parts = []
        for rows in order.split(GROUP):
            longest = int(lengths[rows].max())
            parts.append(self(mels[rows, :longest], mask[rows, :longest]))
        return concatenate(parts)[order.argsort()]


def segment_edges(lengths: Tensor, counts: Tensor) -> Tensor:
    """Where segments begin and end: `counts` [B] equal stretches of `lengths` [B] frames, as [B, max count + 1]."""
    places = torch.arange(int(counts.max()) + 1, device=lengths.device)[None]
    return (places.minimum(counts[:, None]) * lengths[:, None]) // counts[:, None]


SPEECH_KIND = "speech-encoder"


def load_speech_encoder(path: Path) -> SpeechEncoder:
    """The frozen speech encoder of a file that training SEN, or DAMSM with --modality speech, wrote.

    Raises:
        InputError: if the file is missing, damaged, or holds no speech encoder.
    """
    kind = checkpoint.kind_of(path)
    if kind not in (f"{SPEECH_KIND}-weights", "damsm-weights"):
        raise InputError(f"{path}: holds a {kind}, not a speech encoder; give the best.safetensors of train_sen")
    state, description = checkpoint.load(path, kind)
    if "speech" not in description:
        raise InputError(f"{path}: this DAMSM was trained with text; give the best.safetensors of train_sen")
    encoder = checkpoint.build(SpeechEncoder, description, "speech", path)
    checkpoint.load_weights(encoder, checkpoint.part(state, "caption", path), path)
    return encoder.eval().requires_grad_(False)


def start_from(encoder: SpeechEncoder, path: Path) -> int:
    """Give `encoder` the weights of a trained one wherever names and shapes agree; return how many numbers that are.

    Residual convolutions that the trained one lacks begin by adding nothing.

    Raises:
        InputError: if the file is missing, damaged, or holds no speech encoder, or if nothing agrees.
    """
    trained, own = load_speech_encoder(path).state_dict(), encoder.state_dict()
    same = {name: value for name, value in trained.items() if name in own and own[name].shape == value.shape}
    if "convs.0.conv.weight" not in same:
        raise InputError(f"{path}: none of its weights fit; give a speech encoder of the same widths")
    encoder.load_state_dict(same, strict=False)
    for number, conv in enumerate(encoder.convs):
        if isinstance(conv, MaskedConv) and conv.has_shortcut and f"convs.{number}.conv.weight" not in same:
            nn.init.zeros_(conv.norm.weight)
    return sum(value.numel() for value in same.values())
