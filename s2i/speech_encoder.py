"""The speech embedding network: a log-mel becomes at most 32 segments and a sentence vector, a condition."""

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from attngan import runtime
from attngan.attention import masked_softmax
from attngan.condition import DIMENSION, Condition
from datasets import audio
from datasets.errors import InputError
from datasets.loader import Batch


class MaskedConv(nn.Module):
    """1-D convolution, layer norm over channels and GELU; padding stays zero, so it cannot leak into speech.

    A shortcut is added where the shape allows it.
    """

    def __init__(self, channels_in: int, channels_out: int, kernel: int, stride: int, dropout: float) -> None:
        super().__init__()
        self.stride = stride
        self.conv = nn.Conv1d(channels_in, channels_out, kernel, stride, kernel // 2)
        self.norm = nn.LayerNorm(channels_out)
        self.dropout = nn.Dropout(dropout)
        self.has_shortcut = stride == 1 and channels_in == channels_out

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Take x [B, C, T] and mask [B, T] to [B, C', T / stride] and its mask."""
        y = F.gelu(self.norm(self.conv(x).transpose(1, 2))).transpose(1, 2)
        y = self.dropout(y)
        if self.has_shortcut:
            y = y + x
        mask = mask[:, :: self.stride]
        return y * mask[:, None], mask


class SpeechEncoder(nn.Module):
    """Convolutions to 12.5 Hz, a bi-directional GRU, and two poolings: into segments and into a sentence.

    As in S2IGAN's encoder the sentence is an attention pooling over time; unlike it, pads take no weight, and the
    sequence before pooling is kept: neighbouring frames are joined into at most `segments` equal stretches of time,
    which play the part that words play for a written caption.

    Args:
        width: channels of the convolutions.
        hidden: of the GRU in each direction.
        segments: the most segments of a recording.
        segment_frames: frames at 12.5 Hz that make a segment, unless that gives more than `segments`.
    """

    def __init__(
        self,
        *,
        width: int = 192,
        hidden: int = 192,
        segments: int = 32,
        segment_frames: int = 3,
        dimension: int = DIMENSION,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.arguments: dict[str, Any] = {
            "width": width,
            "hidden": hidden,
            "segments": segments,
            "segment_frames": segment_frames,
            "dropout": dropout,
        }
        self.segments, self.segment_frames = segments, segment_frames
        self.convs = nn.ModuleList(
            [
                MaskedConv(audio.N_MELS, width, 5, 2, dropout),
                MaskedConv(width, width, 5, 2, dropout),
                MaskedConv(width, width, 5, 1, dropout),
                MaskedConv(width, width, 5, 2, dropout),
                MaskedConv(width, width, 5, 1, dropout),
            ]
        )
        self.gru = nn.GRU(width, hidden, num_layers=2, batch_first=True, bidirectional=True, dropout=dropout)
        self.dropout = nn.Dropout(0.2)
        self.attention = nn.Sequential(nn.Linear(2 * hidden, 128), nn.Tanh(), nn.Linear(128, 2 * hidden))
        self.to_sentence = nn.Linear(2 * hidden, dimension)
        self.to_segments = nn.Linear(2 * hidden, dimension)

    def forward(self, mels: Tensor, mask: Tensor) -> Condition:
        """Encode normalised log-mels [B, T, 40] with mask [B, T]."""
        x = mels.transpose(1, 2) * mask[:, None]
        for conv in self.convs:
            x, mask = conv(x, mask)
        packed = pack_padded_sequence(
            x.transpose(1, 2), mask.sum(1).clamp_min(1).cpu(), batch_first=True, enforce_sorted=False
        )
        states, _ = pad_packed_sequence(self.gru(packed)[0], batch_first=True, total_length=mask.shape[1])
        states = self.dropout(states)
        weights = masked_softmax(self.attention(states), mask[:, :, None], dim=1)
        sentence = self.to_sentence((weights * states).sum(1))
        pooled, segment_mask = self._pool(states, mask)
        return Condition(sentence, self.to_segments(pooled).transpose(1, 2), segment_mask)

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
        result = 1
        for conv in self.convs:
            result *= conv.stride  # type: ignore[operator]
        return result

    def spans(self, frames: int) -> list[tuple[float, float]]:
        """The stretch of time of each segment, in seconds, of a log-mel with `frames` frames."""
        length = torch.tensor([-(-frames // self.stride)])
        edges = segment_edges(length, self.segment_count(length))[0] * self.stride / audio.FRAMES_PER_SECOND
        end = frames / audio.FRAMES_PER_SECOND
        bounds = [min(float(edge), end) for edge in edges]
        return list(zip(bounds[:-1], bounds[1:], strict=True))

    def encode(self, batch: Batch) -> Condition:
        """The condition of a batch's recordings."""
        assert batch.mels is not None, "the loader was not asked for recordings"
        assert batch.mel_mask is not None
        return self(batch.mels, batch.mel_mask)


def segment_edges(lengths: Tensor, counts: Tensor) -> Tensor:
    """Where segments begin and end: `counts` [B] equal stretches of `lengths` [B] frames, as [B, max count + 1]."""
    places = torch.arange(int(counts.max()) + 1, device=lengths.device)[None]
    return (places.minimum(counts[:, None]) * lengths[:, None]) // counts[:, None]


SPEECH_KIND = "speech-encoder"


def load_speech_encoder(path: Path) -> SpeechEncoder:
    """The frozen speech encoder of a file that training SEN, or DAMSM with --teacher speech, wrote.

    Raises:
        InputError: if the file is missing, damaged, or holds no speech encoder.
    """
    kind = runtime.kind_of(path)
    if kind not in (f"{SPEECH_KIND}-weights", "damsm-weights"):
        raise InputError(f"{path}: holds a {kind}, not a speech encoder; give the best.safetensors of train_sen")
    state, description = runtime.load(path, kind)
    if "speech" not in description:
        raise InputError(f"{path}: this DAMSM was trained with text; give the best.safetensors of train_sen")
    encoder = SpeechEncoder(**description["speech"])
    runtime.load_weights(encoder, state["caption"], path)
    return encoder.eval().requires_grad_(False)
