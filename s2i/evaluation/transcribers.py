"""The command that tells how well each transcriber understands each engine: `python -m s2i.evaluation.transcribers`."""

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from datasets import channels, cli, distort, voices
from datasets.corpus import Corpus
from datasets.errors import InputError
from datasets.files import require_file, write_text
from s2i.evaluation.transcripts import Listener
from s2i.model import transcribe
from s2i.model.whisper import FasterWhisper, packaged_folder

CONDITIONS = {
    "clean": lambda wave, _: wave,
    "white noise, 10 dB": lambda wave, generator: distort.white(wave, 10.0, generator),
    "room, 0.4 s": lambda wave, generator: channels.room(wave, 0.4, 3.0, generator),
}
DRAWS = 1000  # of the captions, for the error


@dataclass(frozen=True)
class TranscribersConfig:
    """What is listened to."""

    corpus: Path = Path("data/cub.h5")
    """The corpus whose test captions are spoken, and whose training captions tell which words to expect."""
    voices: tuple[str, ...] = ("flite-slt", "flite-kal16", "festival-ked", "hts-slt", "pico-gb", "espeak-us-f5",
                               "hibari-heart", "piper-joe")  # fmt: skip
    """Who speaks; those that are not installed are left out."""
    conditions: tuple[str, ...] = ("clean",)
    """Among clean; white noise, 10 dB; room, 0.4 s."""
    captions: int = 50
    """Captions that each voice speaks, others than the next voice."""
    seed: int = 0
    """Chooses captions, pitch, speed and noise."""
    output: Path = Path("outputs/evaluation/transcribers.json")
    """Where the figures go; a page of the same name goes beside it."""

    def __post_init__(self) -> None:
        cli.check_range("captions", self.captions, 1, 1000)
        cli.check_range("seed", self.seed, 0)
        for condition in self.conditions:
            cli.check_choice("conditions", condition, tuple(CONDITIONS))


def main(arguments: list[str]) -> None:
    """Listen as the command line asks for; write the figures and print them as a table."""
    description = "Tell the word error rate of each transcriber for each engine."
    config = cli.parse_tool(TranscribersConfig, arguments, description=description)
    require_file(config.corpus, "corpus", maker="scripts/prepare_cub.sh")
    found = measure(config)
    write_text(config.output, json.dumps(found, indent=2) + "\n")
    write_text(config.output.with_suffix(".md"), page(found))
    print(table(found["rows"]))
    print(config.output)


def listeners(corpus_file: Path) -> dict[str, Listener]:
    """All transcribers that are installed, by name."""
    found: dict[str, Listener] = {"pocketsphinx": transcribe.recogniser(corpus_file)}
    if packaged_folder() is None:
        print("warning: no row for Whisper: it is not installed (requirements-whisper.txt)", file=sys.stderr)
        return found
    found["Whisper"] = FasterWhisper()
    found["Whisper and captions"] = transcribe.recogniser(corpus_file, Path(transcribe.WHISPER))
    return found


def measure(config: TranscribersConfig) -> dict[str, Any]:
    """Every transcriber on every voice under every condition.

    Returns:
        {"rows": [{"voice", "engine", "use", "condition", "n", "word_error_rate": {name: {"mean", "std"}}}], "seconds":
        {name: of a recording}, "config", and where it was measured}; rates in percent, their error by drawing the
        captions anew.

    Raises:
        InputError: for a missing or damaged corpus, none of the voices, or a missing package.
    """
    from attngan.runtime.machine import environment

    corpus = Corpus(config.corpus)
    able = [voice for voice in voices.available() if voice.name in config.voices]
    if not able:
        raise InputError("voices: none of them is installed; install one, or name others")
    spoken = np.flatnonzero(np.isin(corpus.caption_picture, corpus.pictures_of("test")))
    chosen = np.random.default_rng(config.seed).permutation(spoken)
    known = listeners(config.corpus)
    spent = dict.fromkeys(known, 0.0)
    rows: list[dict[str, Any]] = []
    for number, voice in enumerate(able):
        captions = [corpus.captions[k] for k in chosen[number * config.captions :][: config.captions]]
        waves = [voices.synthesise(voice, caption, config.seed + k) for k, caption in enumerate(captions)]
        for condition in config.conditions:
            generator = torch.Generator().manual_seed(config.seed)
            sounds = [CONDITIONS[condition](wave, generator) for wave in waves]
            rates = {}
            for name, listener in known.items():
                start = time.process_time()
                words = [listener(sound) for sound in tqdm(sounds, desc=f"{voice.name}, {name}", file=sys.stderr)]
                spent[name] += time.process_time() - start
                rates[name] = spread(captions, words, config.seed)
            row = {"voice": voice.name, "engine": voice.engine, "use": voice.use, "condition": condition}
            rows.append({**row, "n": len(captions), "word_error_rate": rates})
            print(_line(rows[-1]), file=sys.stderr, flush=True)
    corpus.close()
    listened = sum(row["n"] for row in rows)
    seconds = {name: value / listened for name, value in spent.items()}
    return {"rows": rows, "seconds": seconds, "config": json.loads(cli.as_json(config)), **environment()}


def spread(captions: list[str], words: list[str], seed: int) -> dict[str, float]:
    """Word error rate in percent, with its standard error by drawing the captions anew (Efron 1979)."""
    rng = np.random.default_rng(seed)
    lengths = np.array([len(transcribe.tokenize(caption)) for caption in captions])
    errors = np.array([transcribe.word_error_rate([a], [b]) for a, b in zip(captions, words, strict=True)]) * lengths
    draws = rng.integers(len(captions), size=(DRAWS, len(captions)))
    rates = errors[draws].sum(1) / lengths[draws].sum(1)
    return {"mean": float(errors.sum() / lengths.sum()), "std": float(rates.std())}


def table(rows: list[dict[str, Any]]) -> str:
    """The rates as a Markdown table, a line for each voice and condition, and their means by condition."""
    names = list(rows[0]["word_error_rate"])
    lines = ["| voice | condition | n | " + " | ".join(names) + " |", "|---|---|---|" + "---|" * len(names)]
    for row in rows:
        rates = " | ".join(f"{each['mean']:.1f} ± {each['std']:.1f}" for each in row["word_error_rate"].values())
        lines.append(f"| {row['voice']} ({row['use']}) | {row['condition']} | {row['n']} | {rates} |")
    for condition in dict.fromkeys(row["condition"] for row in rows):
        alike = [row for row in rows if row["condition"] == condition]
        means = [np.mean([row["word_error_rate"][name]["mean"] for row in alike]) for name in names]
        total = sum(row["n"] for row in alike)
        lines.append(f"| **mean of voices** | {condition} | {total} | " + " | ".join(f"{m:.1f}" for m in means) + " |")
    return "\n".join(lines)


def page(found: dict[str, Any]) -> str:
    """The table with what is to be known of it."""
    seconds = ", ".join(f"{name} {value:.2f}" for name, value in found["seconds"].items())
    return (
        "# Transcribers by voice\n\n"
        "Word error rates in percent, of captions that training never met. Errors are those of the mean.\n"
        "*Whisper and captions*: the best of Whisper's hypotheses by both its own and the captions' probability.\n\n"
        f"{table(found['rows'])}\n\n"
        f"Seconds of processor time a recording: {seconds}.\n\n"
        f"`{found['command']}`, commit {found['commit']}, seed {found['config']['seed']}, {found['machine']}.\n"
    )


def _line(row: dict[str, Any]) -> str:
    rates = ", ".join(f"{name} {each['mean']:.1f} ± {each['std']:.1f}" for name, each in row["word_error_rate"].items())
    return f"{row['voice']:16} {row['condition']:20} n {row['n']}: {rates} %"


if __name__ == "__main__":
    cli.run(main)
