import numpy as np
import pytest
import torch

from datasets.corpus import Corpus
from datasets.errors import InputError
from datasets.loader import Loader
from s2i import train_sen, whisper_features
from s2i.model import whisper
from s2i.model.speech_encoder import load_speech_encoder
from tests.helpers import write_damsm

installed = pytest.mark.skipif(whisper.packaged_folder() is None, reason="requirements-whisper.txt is not installed")


@pytest.fixture(scope="module")
def birds(tmp_path_factory, build_birds):
    return build_birds(tmp_path_factory.mktemp("whisper") / "birds.h5", drawn_pictures=48, short_side=32)


@installed
@pytest.mark.slow
def test_a_corpus_of_features_trains_an_encoder_and_the_other_kind_is_refused(birds, tmp_path, capsys):
    output = tmp_path / "features.h5"
    whisper_features.main(["--corpus", str(birds), "--output", str(output), "--threads", "1"])
    assert capsys.readouterr().out.strip() == str(output)
    old, new = Corpus(birds), Corpus(output)
    assert (old.front, new.front) == ("log-mel", "whisper")
    assert list(new.captions) == list(old.captions)
    np.testing.assert_array_equal(new.recording_voice, old.recording_voice)
    assert new.mel(0).shape[1] == 385
    assert new.encoded(3) == old.encoded(3)
    assert not output.with_suffix(".features").exists()
    loaded = Loader(new, "train", batch_size=4, speech=True)
    assert torch.equal(loaded.at(0).mels, loaded.at(0).mels)
    old.close()
    new.close()

    damsm = tmp_path / "damsm.safetensors"
    write_damsm(damsm)
    options = ["--preset", "tiny", "--damsm", str(damsm), "--run", str(tmp_path / "run"), "--hidden", "8"]
    options += ["--pictures", "32", "--validate-every", "32", "--checkpoint-every", "32", "--batch-size", "8"]
    with pytest.raises(InputError, match=r"as log-mel; make a corpus with python -m s2i\.whisper_"):
        train_sen.main([*options, "--corpus", str(birds), "--front", "whisper"])
    with pytest.raises(InputError, match="give a corpus of log-mels, or --front whisper"):
        train_sen.main([*options, "--corpus", str(output)])
    train_sen.main([*options, "--corpus", str(output), "--front", "whisper"])
    encoder = load_speech_encoder(tmp_path / "run" / "best.safetensors")
    assert encoder.front == "whisper"
    with pytest.raises(InputError, match="holds features of whisper already"):
        whisper_features.main(["--corpus", str(output), "--output", str(tmp_path / "again.h5")])


@installed
def test_fewer_recordings_of_each_training_picture_can_be_taken(birds):
    corpus = Corpus(birds)
    some = whisper_features._chosen(corpus, 1)
    training = np.isin(corpus.recording_picture[some], corpus.pictures_of("train"))
    assert len(np.unique(corpus.recording_picture[some][training])) == training.sum()
    assert len(whisper_features._chosen(corpus, 0)) == len(corpus.recording_picture)
    corpus.close()
