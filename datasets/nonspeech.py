"""Sounds that hold no speech, by simple synthesis: tones, music, noise, machines and birds.

Every function takes a generator of random numbers and seconds, and gives samples [N] at 16 kHz in [-1, 1].
"""

from collections.abc import Callable, Sequence

import numpy as np
from scipy import signal

from datasets.samples import SAMPLE_RATE

Sound = Callable[[np.random.Generator, float], np.ndarray]
SCALE = (0, 2, 4, 5, 7, 9, 11)  # semitones of a major scale


def _time(seconds: float) -> np.ndarray:
    return np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE


def _within(wave: np.ndarray) -> np.ndarray:
    return np.asarray(0.8 * wave / max(1e-9, float(np.abs(wave).max())), np.float32)


def _gliding(hertz: np.ndarray) -> np.ndarray:
    """A sine whose frequency is `hertz` [N]."""
    return np.sin(2 * np.pi * np.cumsum(hertz) / SAMPLE_RATE)


def _swell(count: int, attack: float, release: float) -> np.ndarray:
    """From 0 to 1 in `attack` seconds, and to 0 in the last `release`."""
    time = np.arange(count) / SAMPLE_RATE
    return np.asarray(np.clip(time / attack, 0, 1) * np.clip((count / SAMPLE_RATE - time) / release, 0, 1))


def noise(rng: np.random.Generator, seconds: float, slope: float) -> np.ndarray:
    """Noise whose power falls by `slope` times 3 dB an octave: 0 is white, 1 pink, 2 brown."""
    spectrum = np.fft.rfft(rng.standard_normal(round(seconds * SAMPLE_RATE)))
    hertz = np.maximum(np.fft.rfftfreq(round(seconds * SAMPLE_RATE), 1 / SAMPLE_RATE), 20)
    return _within(np.fft.irfft(spectrum / hertz ** (slope / 2), round(seconds * SAMPLE_RATE)))


def _band(rng: np.random.Generator, seconds: float, low: float, high: float) -> np.ndarray:
    filters = signal.butter(2, (low, high), "bandpass", fs=SAMPLE_RATE, output="sos")
    return np.asarray(signal.sosfilt(filters, rng.standard_normal(round(seconds * SAMPLE_RATE))))


def _slow(rng: np.random.Generator, seconds: float, hertz: float) -> np.ndarray:
    """A random curve in [0, 1] that changes `hertz` times a second."""
    points = rng.random(max(4, round(seconds * hertz) + 2))
    return np.interp(_time(seconds), np.linspace(0, seconds, len(points)), points)


def _scatter(
    rng: np.random.Generator, seconds: float, rate: tuple[float, float], event: Callable[[], np.ndarray]
) -> np.ndarray:
    """Events one after the other, from `rate[0]` to `rate[1]` a second, regular in half of all sounds."""
    wave = np.zeros(round(seconds * SAMPLE_RATE))
    step, regular, place = 1 / rng.uniform(*rate), rng.random() < 0.5, rng.uniform(0, 0.2)
    while place < seconds:
        first = round(place * SAMPLE_RATE)
        part = event()[: len(wave) - first]
        wave[first : first + len(part)] += part * rng.uniform(0.4, 1)
        place += step if regular else rng.exponential(step) + 0.01
    return _within(wave)


def _melody(
    rng: np.random.Generator, seconds: float, note: Callable[[float, float], np.ndarray], voices: Sequence[int] = (1, 3)
) -> np.ndarray:
    """Notes of a scale, one after the other, of one to `voices[1]` voices; `note` takes Hz and seconds."""
    wave = np.zeros(round(seconds * SAMPLE_RATE))
    beat, base = rng.uniform(0.12, 0.6), 110 * 2 ** rng.uniform(0, 2)
    for _ in range(rng.integers(voices[0], voices[1] + 1)):
        place, degree = 0.0, int(rng.integers(7))
        while place < seconds:
            length = beat * rng.choice([1, 1, 1, 2, 4])
            degree = int(np.clip(degree + rng.integers(-3, 4), 0, 13))
            first = round(place * SAMPLE_RATE)
            if rng.random() < 0.9:
                hertz = base * 2 ** ((SCALE[degree % 7] + 12 * (degree // 7)) / 12)
                part = note(hertz, length * rng.uniform(0.8, 1.5))[: len(wave) - first]
                wave[first : first + len(part)] += part
            place += length
    return _within(wave)


def _harmonics(hertz: np.ndarray | float, seconds: float, strengths: np.ndarray) -> np.ndarray:
    """Partials of `hertz`, a number or a curve [N], below half the sampling rate."""
    time = _time(seconds)
    phase = 2 * np.pi * np.cumsum(np.broadcast_to(hertz, time.shape)) / SAMPLE_RATE
    top = float(np.max(hertz))
    kept = [(k, a) for k, a in enumerate(strengths, 1) if k * top < 0.48 * SAMPLE_RATE]
    return np.asarray(sum((a * np.sin(k * phase) for k, a in kept), np.zeros(len(time))))


def tones(rng: np.random.Generator, seconds: float) -> np.ndarray:
    """One to four steady tones, on all the time or beeping."""
    hertz = 80 * 2 ** rng.uniform(0, 6, rng.integers(1, 5))
    wave = sum(np.sin(2 * np.pi * f * _time(seconds) + rng.uniform(0, 6)) for f in hertz)
    if rng.random() < 0.6:
        wave = wave * (signal.square(2 * np.pi * rng.uniform(0.5, 8) * _time(seconds), rng.uniform(0.2, 0.8)) > 0)
    return _within(np.asarray(wave))


def organ(rng: np.random.Generator, seconds: float) -> np.ndarray:
    """Held chords of an organ or a synthesiser."""
    partials = np.arange(1, rng.integers(4, 17))
    strengths = rng.random(len(partials)) / partials ** rng.uniform(0, 1.5)
    return _melody(rng, seconds, lambda f, s: _harmonics(f, s, strengths) * _swell(round(s * SAMPLE_RATE), 0.02, 0.05),
                   (2, 4))  # fmt: skip


def piano(rng: np.random.Generator, seconds: float) -> np.ndarray:
    """Struck strings: stretched partials that die away."""
    decay = rng.uniform(1, 6)

    def note(hertz: float, length: float) -> np.ndarray:
        time = _time(length * 1.5)
        partials = np.arange(1, 12)
        pitches = hertz * partials * np.sqrt(1 + 4e-4 * partials**2)
        wave = sum(np.exp(-decay * (1 + 0.3 * k) * time) / k * np.sin(2 * np.pi * f * time)
                   for k, f in zip(partials, pitches, strict=True) if f < 7500)  # fmt: skip
        return np.asarray(wave) * _swell(len(time), 0.004, 0.03)

    return _melody(rng, seconds, note, (1, 4))


def plucked(rng: np.random.Generator, seconds: float) -> np.ndarray:
    """A guitar (Karplus and Strong 1983)."""

    def note(hertz: float, length: float) -> np.ndarray:
        count, period = round(length * 1.5 * SAMPLE_RATE), round(SAMPLE_RATE / hertz)
        pulse = np.zeros(count)
        pulse[: min(period, count)] = rng.uniform(-1, 1, min(period, count))
        loop = np.zeros(period + 2)
        loop[0], loop[period], loop[period + 1] = 1.0, -0.498, -0.498
        return np.asarray(signal.lfilter([1.0], loop, pulse))

    return _melody(rng, seconds, note)


def drums(rng: np.random.Generator, seconds: float) -> np.ndarray:
    """A kit: bass drum, snare and cymbals."""

    def hit() -> np.ndarray:
        kind, time = rng.integers(3), _time(0.3)
        if kind == 0:
            return _gliding(50 + 150 * np.exp(-30 * time)) * np.exp(-12 * time)
        body = 0.5 * np.sin(2 * np.pi * 190 * time) if kind == 1 else 0.0
        return (_band(rng, 0.3, *((400, 6000) if kind == 1 else (4000, 7900))) + body) * np.exp(-25 * time)

    return _scatter(rng, seconds, (2, 9), hit)


def hum(rng: np.random.Generator, seconds: float) -> np.ndarray:
    """The mains, a fan or a fridge: low harmonics, some noise."""
    strengths = rng.random(10) / np.arange(1, 11)
    wave = _harmonics(float(rng.choice([50, 60, 100, 120])), seconds, strengths)
    return _within(wave + rng.uniform(0, 0.5) * noise(rng, seconds, rng.uniform(0, 2)))


def clicks(rng: np.random.Generator, seconds: float) -> np.ndarray:
    """Clicks, ticks and knocks: short, and of one colour each."""
    low = 100 * 2 ** rng.uniform(0, 5)
    fall = rng.uniform(40, 400)
    return _scatter(rng, seconds, (1, 15), lambda: _band(rng, 0.1, low, min(7900, 2.5 * low))
                    * np.exp(-fall * _time(0.1)))  # fmt: skip


def chirps(rng: np.random.Generator, seconds: float) -> np.ndarray:
    """Sweeps up or down, slow or fast, again and again."""
    first, last = 100 * 2 ** rng.uniform(0, 6, 2)
    length = rng.uniform(0.1, seconds)
    share = (_time(seconds) % length) / length
    return _within(_gliding(first * (last / first) ** share))


def whistles(rng: np.random.Generator, seconds: float) -> np.ndarray:
    """A songbird: phrases of whistled notes that glide, from 1.5 to 7 kHz."""
    notes = []
    for _ in range(rng.integers(1, 5)):
        length = rng.uniform(0.04, 0.4)
        points = 1500 * 2 ** np.clip(rng.uniform(0, 2) + rng.uniform(-0.4, 0.4, rng.integers(2, 5)), 0, 2.2)
        curve = np.interp(_time(length), np.linspace(0, length, len(points)), points)
        trill = 1 + rng.uniform(0, 0.1) * np.sin(2 * np.pi * rng.uniform(10, 60) * _time(length))
        notes.append(_gliding(curve * trill) * _swell(round(length * SAMPLE_RATE), 0.01, 0.02))
    return _scatter(rng, seconds, (1.5, 9), lambda: notes[rng.integers(len(notes))])


def wind(rng: np.random.Generator, seconds: float) -> np.ndarray:
    """Wind, surf or traffic: noise that swells slowly."""
    low = 40 * 2 ** rng.uniform(0, 5)
    gusts = 0.1 + _slow(rng, seconds, rng.uniform(0.3, 4)) ** 2
    return _within(_band(rng, seconds, low, min(7900, low * 2 ** rng.uniform(0.5, 4))) * gusts)


def engine(rng: np.random.Generator, seconds: float) -> np.ndarray:
    """A motor: pulses at a rate that changes slowly, through a box."""
    hertz = rng.uniform(15, 150) * (1 + 0.6 * (_slow(rng, seconds, rng.uniform(0.2, 3)) - 0.5))
    pulses = _harmonics(hertz, seconds, rng.random(30))
    box = signal.butter(
        1, np.sort(100 * 2 ** rng.uniform(0, 5, 2)) * [1, 1.5], "bandpass", fs=SAMPLE_RATE, output="sos"
    )
    return _within(signal.sosfilt(box, pulses) + 0.1 * rng.random() * noise(rng, seconds, 1))


def insects(rng: np.random.Generator, seconds: float) -> np.ndarray:
    """Crickets: a high tone or noise that is switched quickly."""
    hertz = rng.uniform(2500, 7000)
    carrier = _band(rng, seconds, hertz * 0.9, hertz * 1.1) if rng.random() < 0.5 else np.sin(
        2 * np.pi * hertz * _time(seconds))  # fmt: skip
    fast = signal.square(2 * np.pi * rng.uniform(12, 80) * _time(seconds)) > 0
    slow = signal.square(2 * np.pi * rng.uniform(0.5, 4) * _time(seconds), rng.uniform(0.3, 1)) > 0
    return _within(carrier * fast * slow)


def strings(rng: np.random.Generator, seconds: float) -> np.ndarray:
    """A bowed or blown melody: full of harmonics, with vibrato and a body of its own."""
    body = [(rng.uniform(200, 3500), rng.uniform(80, 600)) for _ in range(3)]

    def note(hertz: float, length: float) -> np.ndarray:
        time = _time(length)
        pitch = hertz * (1 + rng.uniform(0, 0.012) * np.sin(2 * np.pi * rng.uniform(4, 7) * time))
        k = np.arange(1, 31)
        gains = sum(np.exp(-(((k * hertz - centre) / width) ** 2)) for centre, width in body)
        return _harmonics(pitch, length, (gains + 0.2) / k) * _swell(len(time), 0.06, 0.06)

    return _melody(rng, seconds, note)


def brown(rng: np.random.Generator, seconds: float) -> np.ndarray:
    """Brown noise."""
    return noise(rng, seconds, 2.0)


def bells(rng: np.random.Generator, seconds: float) -> np.ndarray:
    """Bells by frequency modulation (Chowning 1973)."""
    ratio, depth = rng.choice([1.4, 2.76, 3.5]), rng.uniform(1, 8)

    def note(hertz: float, length: float) -> np.ndarray:
        time = _time(2 * length)
        fall = np.exp(-2.5 * time)
        return np.sin(2 * np.pi * hertz * time + depth * fall * np.sin(2 * np.pi * hertz * ratio * time)) * fall

    return _melody(rng, seconds, note)


def flute(rng: np.random.Generator, seconds: float) -> np.ndarray:
    """A flute or recorder: few harmonics, breath and vibrato."""
    breath = rng.uniform(0.02, 0.2)

    def note(hertz: float, length: float) -> np.ndarray:
        time = _time(length)
        pitch = 2 * hertz * (1 + 0.006 * np.sin(2 * np.pi * 5.5 * time))
        air = breath * _band(rng, length, min(6000, hertz), min(7900, 4 * hertz))
        return (_harmonics(pitch, length, np.array([1, 0.4, 0.2, 0.05])) + air) * _swell(len(time), 0.05, 0.05)

    return _melody(rng, seconds, note, (1, 2))


def calls(rng: np.random.Generator, seconds: float) -> np.ndarray:
    """Crows, ducks and gulls: harsh calls with harmonics."""
    hertz, length = rng.uniform(250, 1500), rng.uniform(0.08, 0.5)
    bend = rng.uniform(-0.4, 0.4)

    def call() -> np.ndarray:
        share = np.linspace(0, 1, round(length * SAMPLE_RATE))
        pitch = hertz * (1 + bend * share + 0.2 * np.sin(np.pi * share)) * (1 + 0.03 * rng.standard_normal(len(share)))
        wave = _harmonics(pitch, len(share) / SAMPLE_RATE, np.array([0.5, 1, 0.9, 0.7, 0.5, 0.3]))
        return wave * _swell(len(share), 0.02, 0.08)

    return _scatter(rng, seconds, (0.8, 4), call)


def siren(rng: np.random.Generator, seconds: float) -> np.ndarray:
    """An alarm: two pitches in turn, or one that rises and falls."""
    low, high = np.sort(rng.uniform(350, 2500, 2))
    turn = 2 * np.pi * rng.uniform(0.3, 4) * _time(seconds)
    swing = (signal.square(turn) if rng.random() < 0.5 else signal.sawtooth(turn, rng.random())) / 2 + 0.5
    return _within(_harmonics(low + (high - low) * swing, seconds, rng.random(6)))


def crackle(rng: np.random.Generator, seconds: float) -> np.ndarray:
    """Fire, rain, applause or an old record: very many short clicks at random."""
    count = round(seconds * SAMPLE_RATE)
    sparse = rng.standard_normal(count) * (rng.random(count) < 10 ** rng.uniform(-3.5, -1.5))
    ring = signal.butter(1, 400 * 2 ** np.array([0, rng.uniform(1, 4)]), "bandpass", fs=SAMPLE_RATE, output="sos")
    return _within(signal.sosfilt(ring, sparse) + 10 ** rng.uniform(-4, -2) * rng.standard_normal(count))


LEARNT: dict[str, Sound] = {
    "tones": tones,
    "organ": organ,
    "piano": piano,
    "guitar": plucked,
    "strings": strings,
    "drums": drums,
    "white to pink noise": lambda rng, seconds: noise(rng, seconds, rng.uniform(-0.5, 1.3)),
    "hum": hum,
    "clicks": clicks,
    "chirps": chirps,
    "songbirds": whistles,
    "wind": wind,
    "engine": engine,
    "insects": insects,
}
"""Kinds of sounds that calibration learns from."""
HELD_OUT: dict[str, Sound] = {
    "brown noise": brown,
    "bells": bells,
    "flute": flute,
    "crows and ducks": calls,
    "siren": siren,
    "crackle": crackle,
}
"""Kinds of sounds that calibration never meets."""
