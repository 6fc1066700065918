"""The emotion in a voice: what `scripts/emotion.sh` prints and `s2i.train_emotion` trains and compares.

`speech_emotion` is what people use. `features` are what recognisers see, `networks` and `encoder` the recognisers,
`trials` and `training` how they are tested and trained, `jobs` the trainings of a comparison, kept on disk; `figures`,
`foreign` and `report` are what is told of them.
"""

from s2i.emotion.speech_emotion import EMOTION_KIND, FILE, Emotion, SpeechEmotion

__all__ = ["EMOTION_KIND", "FILE", "Emotion", "SpeechEmotion"]
