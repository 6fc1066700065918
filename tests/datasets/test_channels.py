import pytest
import torch

from datasets import audio, channels, voices

RATE = audio.SAMPLE_RATE


@pytest.fixture(scope="module")
def wave():
    return voices.synthesise(voices.by_name("espeak-us"), "this bird has a red head and black wings", 0)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_a_room_decays_as_it_should():
    click = torch.zeros(RATE)
    click[0] = 1.0
    echoed = channels.room(click, 0.4, 0.0, generator()).square()
    # By Schroeder's integral the energy is 60 dB down after 0.4 s: between 0.1 and 0.2 s it falls by 15 dB.
    left = [echoed[int(second * RATE) :].sum() for second in (0.1, 0.2)]
    assert 10 * torch.log10(left[0] / left[1]) == pytest.approx(15, abs=2)
    assert echoed[0] / echoed[1:].sum() == pytest.approx(1.0, abs=0.1)  # as loud as its echo
    drier = channels.room(click, 0.4, 10.0, generator()).square()
    assert drier[0] / drier[1:].sum() == pytest.approx(10.0, rel=0.1)


def test_clipping_flattens_the_peaks(wave):
    clipped = channels.clip(wave, 12.0)
    assert clipped.abs().max() == 1.0
    torch.testing.assert_close(clipped[clipped.abs() < 1], (wave / wave.abs().max() * 10**0.6)[clipped.abs() < 1])
    assert 0.001 < (clipped.abs() == 1).float().mean() < 0.5


def test_a_faint_recording_has_few_steps(wave):
    faint = channels.faint(wave)
    assert faint.abs().max() == pytest.approx(1e-3, rel=0.05)
    assert len((faint * 32768).round().unique()) <= 2 * 33 + 1


def power(wave, low, high):
    spectrum = torch.fft.rfft(wave).abs().square()
    hertz = torch.linspace(0, RATE / 2, len(spectrum))
    return spectrum[(hertz >= low) & (hertz < high)].mean()


def test_lines_keep_their_band():
    noise = 0.1 * torch.randn(RATE, generator=generator())
    narrow = channels.mu_law(noise)
    assert len(narrow) == len(noise)
    assert power(narrow, 100, 3500) / power(noise, 100, 3500) == pytest.approx(1, abs=0.1)
    assert power(narrow, 4400, 8000) < 1e-2 * power(noise, 4200, 8000)
    band = channels.band(noise)
    assert power(band, 500, 2500) / power(noise, 500, 2500) == pytest.approx(1, abs=0.2)
    assert power(band, 0, 100) < 0.01 * power(noise, 0, 100)
    assert power(band, 6000, 8000) < 0.05 * power(noise, 6000, 8000)


@pytest.mark.parametrize(("name", "kbit"), [("opus", 16.0), ("mp3", 32.0)])
def test_codecs_keep_the_speech(wave, name, kbit):
    def likeness(read):
        size = 4 * len(wave)
        spectrum = torch.fft.rfft(read, size) * torch.fft.rfft(wave, size).conj()
        return float(torch.fft.irfft(spectrum).max() / (wave.norm() * read.norm()))

    read = channels.codec(wave, name, kbit)
    assert len(read) == len(wave)
    assert 0.8 < likeness(read) < likeness(channels.codec(wave, name, 2 * kbit)) < 0.99999


def test_waiting_adds_silence_or_noise_and_leaves_the_words(wave):
    padded = channels.pad(wave, 1.0, 0.5, None, generator())
    assert len(padded) == len(wave) + 1.5 * RATE
    assert torch.equal(padded[RATE : RATE + len(wave)], wave)
    assert (padded[:RATE] == 0).all()
    noisy = channels.pad(wave, 1.0, 0.0, -60.0, generator())
    assert noisy[:RATE].square().mean().sqrt() == pytest.approx(1e-3, rel=0.02)


def test_an_interruption_is_silence_between_the_words(wave):
    broken = channels.interrupt(wave, 1.0)
    assert len(broken) == len(wave) + RATE
    start = next(k for k in range(len(wave) // 3, len(wave)) if (broken[k : k + RATE] == 0).all())
    assert torch.equal(torch.cat([broken[:start], broken[start + RATE :]]), wave)


def test_hum_is_as_far_below_as_it_should(wave):
    added = channels.hum(0.5 * wave, 20.0) - 0.5 * wave
    assert (0.25 * wave.square().mean() / added.square().mean()).item() == pytest.approx(100, rel=0.01)
    assert power(added, 40, 160) > 1e3 * power(added, 200, 8000)


def test_variations_depend_on_the_seed_alone_and_differ(wave):
    first = [channels.vary(wave, seed) for seed in range(24)]
    assert all(torch.equal(each, channels.vary(wave, seed)) for seed, each in enumerate(first))
    assert len({round(float(each.square().mean()), 6) for each in first}) >= 6
    assert all(torch.isfinite(each).all() and len(each) == len(wave) for each in first)
