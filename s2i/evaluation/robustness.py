"""The command that tells what waits, rooms, microphones, lines and codecs do to what is heard, by who speaks."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from attngan.evaluation import metrics, retrieval
from attngan.networks import encoders
from datasets import audio, channels, cli, distort
from datasets.corpus import Corpus, Speakers
from datasets.errors import InputError
from datasets.files import write_text
from datasets.loader import Loader
from s2i.evaluation import transcripts
from s2i.model import model_folder
from s2i.model.speech_encoder import SpeechEncoder, load_speech_encoder

TOGETHER = 32
KINDS: dict[str, Speakers] = {
    "heard voices": "training",
    "unheard voices": "held-out voices",
    "unheard engines": "held-out engines",
}


@dataclass(frozen=True)
class RobustnessConfig:
    """What is compared, and on what."""

    corpus: Path = Path("data/cub.h5")
    """The corpus, whose test recordings are spoken again."""
    model: Path = cli.repository() / "pretrained"
    """Folder of the shipped model, whose speech encoder and DAMSM are measured."""
    speech: Path | None = None
    """Another speech encoder."""
    damsm: Path | None = None
    """Another DAMSM, the one that the speech encoder was trained against."""
    samples: int = 150
    """Recordings of each kind of voices."""
    seed: int = 0
    """Chooses recordings and noise."""
    output: Path = Path("outputs/evaluation/robustness.json")
    """Where the table goes."""

    def __post_init__(self) -> None:
        cli.check_range("samples", self.samples, 2)
        cli.check_range("seed", self.seed, 0)


PRESETS = {"cub": RobustnessConfig()}
Channel = Callable[[Tensor, torch.Generator], Tensor]


def _antiphase(wave: Tensor, _: torch.Generator) -> Tensor:
    return audio.waveform((torch.stack([wave, -wave], 1), audio.SAMPLE_RATE))


CHANNELS: dict[str, Channel] = {
    "clean": lambda wave, _: wave,
    "silence, 0.5 s each side": lambda wave, g: channels.pad(wave, 0.5, 0.5, None, g),
    "silence, 2 s before": lambda wave, g: channels.pad(wave, 2.0, 0.0, None, g),
    "silence, 5 s each side": lambda wave, g: channels.pad(wave, 5.0, 5.0, None, g),
    "noise of -80 dBFS, 5 s each side": lambda wave, g: channels.pad(wave, 5.0, 5.0, -80.0, g),
    "noise of -60 dBFS, 5 s each side": lambda wave, g: channels.pad(wave, 5.0, 5.0, -60.0, g),
    "silence, 2 s in the middle": lambda wave, _: channels.interrupt(wave, 2.0),
    "hum, 20 dB": lambda wave, _: channels.hum(wave, 20.0),
    "antiphase stereo": _antiphase,
    "-60 dB": lambda wave, _: channels.faint(wave),
    "clipped by 12 dB": lambda wave, _: channels.clip(wave, 12.0),
    "8 kHz mu-law": lambda wave, _: channels.mu_law(wave),
    "telephone's band": lambda wave, _: channels.band(wave),
    "telephone line": lambda wave, _: distort.telephone(wave),
    "opus, 16 kbit/s": lambda wave, _: channels.codec(wave, "opus", 16.0),
    "mp3, 32 kbit/s": lambda wave, _: channels.codec(wave, "mp3", 32.0),
    "room, 0.4 s": lambda wave, g: channels.room(wave, 0.4, 3.0, g),
    "room, 0.8 s": lambda wave, g: channels.room(wave, 0.8, 0.0, g),
    "white noise, 20 dB": lambda wave, g: distort.white(wave, 20.0, g),
    "white noise, 10 dB": lambda wave, g: distort.white(wave, 10.0, g),
    "white noise, 0 dB": lambda wave, g: distort.white(wave, 0.0, g),
}


def main(arguments: list[str]) -> None:
    """Measure as the command line asks for; write the scores and print them as a table."""
    description = "Tell what waits, rooms, microphones, lines and codecs do to what the speech encoder hears."
    config = cli.parse(RobustnessConfig, PRESETS, arguments, description=description)
    found = measure(config)
    write_text(config.output, json.dumps(found, indent=2) + "\n")
    print(table(found["rows"]))
    print(config.output)


def measure(config: RobustnessConfig) -> dict[str, Any]:
    """Every channel for every kind of voices.

    Returns:
        {"rows": [{"voices", "channel", "n", "cosine_mean", "cosine_worst", "own_found", "r_precision"}], "config"}:
        cosine of each sentence with that of the clean recording; how often, in percent, its own clean sentence is the
        nearest among those of 100 recordings; and R-precision of the photographs, among as many of other species.

    Raises:
        InputError: for a missing or damaged corpus or weights file, or recordings that cannot be spoken again.
    """
    corpus = Corpus(config.corpus)
    damsm = config.damsm or config.model / model_folder.DAMSM
    image, _ = encoders.load_image_encoder(damsm)
    encoder = load_speech_encoder(config.speech or config.model / model_folder.SPEECH)
    rows: list[dict[str, Any]] = []
    for kind, speakers in KINDS.items():
        try:
            loader = Loader(
                corpus,
                "test",
                batch_size=64,
                size=image.trunk.size,
                speech=True,
                speakers=speakers,
            )
        except InputError as error:
            print(f"warning: no row for {kind}: {error}", file=sys.stderr)
            continue
        loader.indices = np.sort(np.random.default_rng(config.seed).permutation(loader.indices)[: config.samples])
        owned = corpus.recordings_by_picture(speakers)
        waves = [transcripts.wave_of(corpus, int(owned[index][0])) for index in tqdm(loader.indices, desc=kind)]
        pictures, _, species = retrieval.embed(image, encoder, loader, 1, torch.device("cpu"))
        clean = torch.empty(0)
        for name, channel in CHANNELS.items():
            generator = torch.Generator().manual_seed(config.seed)
            try:
                sentences = sentences_of(encoder, [channel(wave, generator) for wave in waves])
            except InputError as error:  # what is not listened to at all is nowhere near
                print(f"warning: {kind}, {name}: {error}", file=sys.stderr)
                sentences = torch.zeros_like(clean)
            clean = sentences if name == "clean" else clean
            cosine = F.cosine_similarity(sentences, clean)
            scores = {
                "cosine_mean": float(cosine.mean()),
                "cosine_worst": float(cosine.min()),
                "own_found": own_found(sentences, clean, seed=config.seed),
                "r_precision": metrics.retrieval(pictures, sentences[None], species)["r_precision"],
            }
            rows.append({"voices": kind, "channel": name, "n": len(waves), **scores})
            print(_line(rows[-1]), file=sys.stderr, flush=True)
    corpus.close()
    return {"rows": rows, "config": json.loads(cli.as_json(config))}


@torch.inference_mode()
def sentences_of(encoder: SpeechEncoder, waves: list[Tensor]) -> Tensor:
    """The sentences [N, D] of recordings [N_i] at 16 kHz."""
    groups = [waves[first : first + TOGETHER] for first in range(0, len(waves), TOGETHER)]
    return torch.cat([encoder.hear([encoder.log_mel(wave) for wave in group]).sentence for group in groups])


def own_found(sentences: Tensor, clean: Tensor, *, candidates: int = 100, draws: int = 5, seed: int = 0) -> float:
    """How often, in percent, a sentence [N, D] is nearer to its own clean one than to those of 99 other recordings."""
    scores = F.normalize(sentences, dim=1) @ F.normalize(clean, dim=1).t()
    rng = np.random.default_rng(seed)
    others = min(candidates, len(clean)) - 1
    hits = []
    for _ in range(draws):
        for row in range(len(scores)):
            chosen = rng.permutation(np.delete(np.arange(len(scores)), row))[:others]
            hits.append(bool(scores[row, row] > scores[row, torch.from_numpy(chosen)].max()))
    return 100 * float(np.mean(hits))


def table(rows: list[dict[str, Any]]) -> str:
    """The scores as a Markdown table, a line for each channel."""
    kinds = [kind for kind in KINDS if any(row["voices"] == kind for row in rows)]
    lines = [
        "| | " + " | ".join(kinds) + " |",
        "|---|" + "---|" * len(kinds),
    ]
    for channel in dict.fromkeys(row["channel"] for row in rows):
        cells = []
        for kind in kinds:
            row = next(row for row in rows if (row["voices"], row["channel"]) == (kind, channel))
            cosine = f"{row['cosine_mean']:.2f} ({row['cosine_worst']:.2f})"
            cells.append(f"{cosine}, {row['own_found']:.0f}, {row['r_precision']:.0f}")
        lines.append(f"| {channel} | " + " | ".join(cells) + " |")
    return "\n".join(["Cosine, mean (worst); own found, %; R-precision, %.", "", *lines])


def _line(row: dict[str, Any]) -> str:
    return (
        f"{row['voices']:16} {row['channel']:34} cosine {row['cosine_mean']:.3f} (worst {row['cosine_worst']:.3f}), "
        f"own found {row['own_found']:5.1f} %, R-precision {row['r_precision']:5.1f} %"
    )


if __name__ == "__main__":
    cli.run(main)
