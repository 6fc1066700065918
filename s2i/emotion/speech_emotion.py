"""The emotion in a voice: `SpeechEmotion.load()("voice.wav")`."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from attngan.runtime import checkpoint
from datasets import audio, cli
from datasets.errors import InputError
from datasets.ravdess import EMOTIONS, VOICES
from s2i.emotion import FILE
from s2i.emotion import features as emotion_features
from s2i.emotion.encoder import EmotionEncoder
from s2i.emotion.novelty import MahalanobisDetector

EMOTION_KIND = "emotion-encoder"
SHORTEST = 8  # frames: what the network halves three times
SURE = 0.5  # confidence from which an answer is called likely
CIRCUMPLEX: dict[str, float | None] = {
    "neutral": None,
    "calm": 316.2,
    "happy": 7.8,
    "sad": 207.5,
    "angry": 99.0,
    "fearful": 116.0,
    "disgust": 138.0,
    "surprised": 69.8,
}
"""Place of each emotion on the circle of affect, in degrees from pleasure towards arousal; None is its middle.

Russell 1980, A Circumplex Model of Affect, Journal of Personality and Social Psychology 39(6): direct circular scaling
of 28 words, of which these are calm, happy, sad, angry, afraid (fearful) and astonished (surprised). Disgust is not
among them: it gets the place of distressed, the octant of unpleasant and moderately aroused feelings, where Russell and
Barrett 1999 draw it.
"""


def valence_and_arousal(probabilities: Mapping[str, float]) -> tuple[float, float]:
    """The mean place on the circumplex of emotions by their probabilities: valence and arousal, each from -1 to 1."""
    x = y = 0.0
    for name, share in probabilities.items():
        angle = CIRCUMPLEX[name]
        if angle is not None:
            x, y = x + share * float(np.cos(np.deg2rad(angle))), y + share * float(np.sin(np.deg2rad(angle)))
    return x, y


@dataclass(frozen=True)
class Emotion:
    """What was heard in a voice.

    Attributes:
        probabilities: of each of the eight emotions of RAVDESS; they sum to 1 and are calibrated on unheard actors.
        valence, arousal: from -1 to 1, displeased to pleased and drowsy to excited: the mean place on the circumplex.
        female: probability that the voice is a woman's.
        intensity: probability that the emotion is strong.
        distance: from what it was trained on; half of the training recordings have less than 1.
        familiar: whether recordings of unheard actors are as far, and as steady in loudness; if not, believe nothing.
    """

    probabilities: dict[str, float]
    valence: float
    arousal: float
    female: float
    intensity: float
    distance: float
    familiar: bool

    @property
    def label(self) -> str:
        """The likeliest emotion."""
        return max(self.probabilities, key=lambda name: self.probabilities[name])

    @property
    def confidence(self) -> float:
        """Probability of the likeliest emotion."""
        return self.probabilities[self.label]

    @property
    def voice(self) -> str:
        """The voice attribute: female or male."""
        return VOICES[0] if self.female >= 0.5 else VOICES[1]

    @property
    def certainty(self) -> str:
        """A word on how far to believe it: "likely", "unsure", or "unlike its training"."""
        if not self.familiar:
            return "unlike its training"
        return "likely" if self.confidence >= SURE else "unsure"


class SpeechEmotion:
    """Hears the emotion in recordings of one voice.

    Args:
        network: trained on log-mels.
        detector: tells the distance from its training recordings.
        temperature: that its logits are divided by, for calibrated probabilities.
        threshold: distance from which a recording is unlike those of training.
        steadiest: dB by which the loudness of any voice goes up and down at least.
    """

    def __init__(
        self,
        network: EmotionEncoder,
        detector: MahalanobisDetector,
        *,
        temperature: float,
        threshold: float,
        steadiest: float = 0.0,
    ) -> None:
        self.network, self.detector = network.eval(), detector
        self.temperature, self.threshold, self.steadiest = temperature, threshold, steadiest

    @classmethod
    def load(cls, path: str | Path | None = None) -> "SpeechEmotion":
        """The recogniser of a file that scripts/train_emotion.sh wrote, by default the shipped one.

        Raises:
            InputError: if the file is missing, damaged or something else.
        """
        path = cli.repository() / "pretrained" / FILE if path is None else Path(path)
        state, about = checkpoint.load(path, EMOTION_KIND)
        network = checkpoint.build(EmotionEncoder, about, "network", path)
        try:
            checkpoint.load_weights(network, state["network"], path)
            detector = MahalanobisDetector({name: value.float() for name, value in state["familiarity"].items()})
            limits = {name: float(about[name]) for name in ("temperature", "threshold", "steadiest")}
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"{path}: lacks {error}; copy it again, or train it again") from error
        return cls(network.requires_grad_(False), detector, **limits)

    @torch.inference_mode()
    def __call__(self, recording: audio.AnyRecording) -> Emotion:
        """The emotion in `recording`.

        Args:
            recording: in any form that `datasets.any_recording.waveform` takes.

        Raises:
            InputError: if it is not a recording, or too short, too long or silent.
        """
        mel = emotion_features.trim(audio.log_mel(audio.waveform(recording)))
        mel = F.pad(mel.T[None], (0, max(0, SHORTEST - len(mel))), mode="replicate")[0].T
        output = self.network.predict(mel[None], torch.ones(1, len(mel), dtype=torch.bool))
        assert output.voice is not None
        assert output.intensity is not None
        assert output.embedding is not None
        shares = (output.emotion[0] / self.temperature).softmax(0).tolist()
        probabilities = dict(zip(EMOTIONS, shares, strict=True))
        valence, arousal = valence_and_arousal(probabilities)
        distance = float(self.detector.distance(output.embedding)[0])
        return Emotion(
            probabilities=probabilities,
            valence=valence,
            arousal=arousal,
            female=float(output.voice[0].softmax(0)[0]),
            intensity=float(output.intensity[0].sigmoid()),
            distance=distance,
            familiar=distance <= self.threshold and emotion_features.liveliness(mel) >= self.steadiest,
        )
