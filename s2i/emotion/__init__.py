"""The emotion in a voice: what `scripts/emotion.sh` prints and `s2i.train_emotion` trains and compares.

`speech_emotion` is what people use. `features` and `dataset` are the inputs, `networks`, `encoder` and `recognisers`
the models, `training` trains one. `protocols` splits the recordings, `experiments` trains and tests on each split and
keeps the results on disk, `metrics` and `figures` measure them, `report` writes them down. `novelty` detects sounds
that are unlike the training recordings.
"""

from s2i.emotion.speech_emotion import EMOTION_KIND, FILE, Emotion, SpeechEmotion

__all__ = ["EMOTION_KIND", "FILE", "Emotion", "SpeechEmotion"]
