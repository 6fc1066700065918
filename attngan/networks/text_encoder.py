"""The text half of DAMSM: words in, a condition out (AttnGAN, Xu et al. 2018, section 3.2)."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from attngan.networks.condition import DIMENSION, Condition
from datasets.loader import Batch

CELLS = {"lstm": nn.LSTM, "gru": nn.GRU}


def _rename_lstm(module: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    """Weights of older files call the recurrent network "lstm", whatever it was."""
    for name in [name for name in state if name.startswith(f"{prefix}lstm.")]:
        state[f"{prefix}recurrent.{name.removeprefix(f'{prefix}lstm.')}"] = state.pop(name)


class TextEncoder(nn.Module):
    """Bi-directional recurrent network over word embeddings.

    Args:
        n_words: size of the vocabulary.
        cell: lstm (as published) or gru.
        embedding: width of the word embeddings.
        dimension: D of the condition, half of it in each direction.
        dropout: of the embeddings.
    """

    def __init__(
        self,
        *,
        n_words: int,
        embedding: int = 300,
        dimension: int = DIMENSION,
        dropout: float = 0.5,
        cell: str = "lstm",
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(n_words, embedding, padding_idx=0)
        nn.init.uniform_(self.embedding.weight, -0.1, 0.1)
        self.dropout = nn.Dropout(dropout)
        self.recurrent = CELLS[cell](embedding, dimension // 2, batch_first=True, bidirectional=True)
        self.register_load_state_dict_pre_hook(_rename_lstm)

    def forward(self, tokens: Tensor, mask: Tensor) -> Condition:
        """Encode tokens [B, L] with mask [B, L] (words first, then padding)."""
        embedded = self.dropout(self.embedding(tokens))
        packed = pack_padded_sequence(embedded, mask.sum(1).cpu(), batch_first=True, enforce_sorted=False)
        outputs, state = self.recurrent(packed)
        last = state[0] if isinstance(state, tuple) else state
        words, _ = pad_packed_sequence(outputs, batch_first=True, total_length=tokens.shape[1])
        return Condition(torch.cat([last[0], last[1]], dim=1), words.transpose(1, 2), mask)

    def encode(self, batch: Batch) -> Condition:
        """The condition of a batch's words."""
        assert batch.tokens is not None, "the loader was not asked for words"
        assert batch.token_mask is not None
        return self(batch.tokens, batch.token_mask)
