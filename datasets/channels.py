"""What lies between a mouth and a file: rooms, microphones that clip, telephone lines and codecs; on waves."""

import io
from collections.abc import Callable

import soundfile
import torch
from torch import Tensor
from torchaudio import functional

from datasets import audio, distort, speech_activity
from datasets.declip import declip

ROOM_SECONDS = (0.15, 0.8)  # until the echo is 60 dB down, in training
DIRECT_DB = (-2.0, 10.0)  # direct sound over echo, in training
CLIPPED_DB = (3.0, 15.0)
FAINT_DB = -60.0
CODECS = {"opus": ("OGG", "OPUS"), "mp3": ("MP3", "MPEG_LAYER_III")}
KBITS = {"opus": (6.0, 256.0), "mp3": (8.0, 160.0)}  # of the coarsest and the finest setting, at 16 kHz


def room(wave: Tensor, seconds: float, direct_db: float, generator: torch.Generator) -> Tensor:
    """Stand `wave` [N] in a room whose echo is 60 dB down after `seconds`: as long as before, as loud as before.

    The impulse response is synthetic: the direct sound, and from 2 ms on noise that decays exponentially (Moorer 1979),
    duller the later it comes, with the energy of the direct sound lowered by `direct_db`.
    """
    length = int(seconds * audio.SAMPLE_RATE)
    time = torch.arange(length) / audio.SAMPLE_RATE
    bright, dull = (torch.randn(length, generator=generator) for _ in range(2))
    dull = functional.lowpass_biquad(dull, audio.SAMPLE_RATE, 2000.0)
    dull = dull / dull.std()
    share = (time / seconds).clamp(max=1.0)
    tail = (bright * (1 - share).sqrt() + dull * share.sqrt()) * torch.exp(-6.908 * time / seconds)
    tail[: int(0.002 * audio.SAMPLE_RATE)] = 0.0
    response = tail * (10 ** (-direct_db / 20) / tail.norm().clamp(min=1e-9))
    response[0] = 1.0
    echoed = functional.fftconvolve(wave, response)[: len(wave)]
    return _within(echoed * (wave.norm() / echoed.norm().clamp(min=1e-9)))


def clip(wave: Tensor, db: float) -> Tensor:
    """Record `wave` so loud that its peak would be `db` beyond what the microphone can take."""
    return (wave / wave.abs().max().clamp(min=1e-9) * 10 ** (db / 20)).clamp(-1.0, 1.0)


def faint(wave: Tensor, db: float = FAINT_DB) -> Tensor:
    """`wave` with its peak at `db` of full scale, in steps of 16 bits."""
    quiet = wave / wave.abs().max().clamp(min=1e-9) * 10 ** (db / 20)
    return (quiet * 32768).round() / 32768


def mu_law(wave: Tensor) -> Tensor:
    """8 kHz and mu-law in 8 bits (ITU-T G.711), without the line's band."""
    narrow = functional.resample(wave, audio.SAMPLE_RATE, distort.TELEPHONE_RATE).clamp(-1.0, 1.0)
    steps = distort.MU_LAW_STEPS
    narrow = functional.mu_law_decoding(functional.mu_law_encoding(narrow, steps), steps)
    return _within(functional.resample(narrow, distort.TELEPHONE_RATE, audio.SAMPLE_RATE)[: len(wave)])


def band(wave: Tensor) -> Tensor:
    """A telephone's band alone, 300 to 3400 Hz."""
    low, high = distort.TELEPHONE_BAND
    for _ in range(2):  # 24 dB an octave
        wave = functional.highpass_biquad(wave, audio.SAMPLE_RATE, low)
        wave = functional.lowpass_biquad(wave, audio.SAMPLE_RATE, high)
    return _within(wave)


def codec(wave: Tensor, name: str, kbit: float) -> Tensor:
    """Write `wave` [N] at `kbit` kbit/s as "opus" or "mp3" and read it again; mp3 may come up to 0.07 s late."""
    least, most = KBITS[name]
    coarseness = min(1.0, max(0.0, (most - kbit) / (most - least)))
    container, subtype = CODECS[name]
    file = io.BytesIO()
    soundfile.write(
        file,
        wave.numpy(),
        audio.SAMPLE_RATE,
        format=container,
        subtype=subtype,
        compression_level=coarseness,
        **({"bitrate_mode": "CONSTANT"} if name == "mp3" else {}),
    )
    file.seek(0)
    samples, rate = soundfile.read(file, dtype="float32")
    read = functional.resample(torch.from_numpy(samples), rate, audio.SAMPLE_RATE)
    return torch.nn.functional.pad(read, (0, max(0, len(wave) - len(read))))[: len(wave)]


def pad(wave: Tensor, before: float, after: float, noise_db: float | None, generator: torch.Generator) -> Tensor:
    """Wait `before` and `after` speaking (seconds), in silence or in white noise `noise_db` of full scale (RMS)."""
    parts = []
    for seconds in (before, after):
        part = torch.zeros(round(seconds * audio.SAMPLE_RATE))
        if noise_db is not None:
            part = torch.randn(len(part), generator=generator) * 10 ** (noise_db / 20)
        parts.append(part)
    return torch.cat([parts[0], wave, parts[1]])


def interrupt(wave: Tensor, seconds: float) -> Tensor:
    """Fall silent for `seconds` in the middle, where the speech is softest in its middle third."""
    third = len(wave) // 3
    window = audio.HOP * 4
    loudness = wave[third : 2 * third].unfold(0, window, audio.HOP).square().mean(1)
    place = third + int(loudness.argmin()) * audio.HOP + window // 2
    return torch.cat([wave[:place], torch.zeros(round(seconds * audio.SAMPLE_RATE)), wave[place:]])


def hum(wave: Tensor, db: float, hertz: float = 50.0) -> Tensor:
    """Add a mains hum of three harmonics, `db` below the speech."""
    time = torch.arange(len(wave)) / audio.SAMPLE_RATE
    tones = sum(torch.sin(2 * torch.pi * hertz * k * time) / k for k in (1, 2, 3))
    assert isinstance(tones, Tensor)
    wanted = wave.square().mean() / 10 ** (db / 10)
    return _within(wave + tones * (wanted / tones.square().mean()).sqrt())


def vary(wave: Tensor, seed: int) -> Tensor:
    """A training recording as it might have been made elsewhere; `seed` decides.

    Half of them stay as they are, the others are in rooms, too loud, too faint, or went over a line or through a codec.
    What it returns is declipped and levelled (`speech_activity.levelled`), as the speech encoder will hear it.
    """
    generator = torch.Generator().manual_seed(seed)

    def draw(low: float = 0.0, high: float = 1.0) -> float:
        return low + (high - low) * float(torch.rand((), generator=generator))

    if draw() < 0.5:
        if draw() < 0.5:
            wave = room(wave, draw(*ROOM_SECONDS), draw(*DIRECT_DB), generator)
        if draw() < 0.25:
            wave = clip(wave, draw(*CLIPPED_DB))
        if draw() < 0.5:
            lines: list[tuple[float, Callable[[], Tensor]]] = [
                (0.30, lambda: mu_law(wave)),
                (0.55, lambda: distort.telephone(wave)),
                (0.75, lambda: band(wave)),
                (0.92, lambda: codec(wave, "mp3", draw(24.0, 48.0))),
                (1.00, lambda: codec(wave, "opus", draw(8.0, 32.0))),
            ]
            choice = draw()
            wave = next(line for share, line in lines if choice <= share)()
        if draw() < 0.1:
            wave = faint(wave)
    return speech_activity.levelled(declip(wave))


def _within(wave: Tensor) -> Tensor:
    """Scaled down, not clipped, if its peak left [-1, 1]."""
    return wave / wave.abs().max().clamp(min=1.0)
