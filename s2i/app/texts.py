"""What the page says."""

from datasets.captions import MAX_WORDS
from s2i.app.uploads import KEEP_SECONDS

TITLE = "Say a bird"
INTRODUCTION = f"""<h1>{TITLE}</h1>
<p>Describe a bird out loud, in English, and watch it being painted from the sound of your voice, from 64 to 512 pixels.
No text lies between.</p>"""
READY = """<p class='status good' role='status'>Record a sentence or drop a file (wav, mp3, m4a, ogg, flac,
webm), or click one of the recordings below.</p>"""
SENTENCES = (
    "a small yellow bird with a black crown and black wings",
    "this bird has a red head and black wings",
    "a large white bird with gray wings and an orange beak",
    "a tiny blue bird with a long thin beak and a white belly",
)
KNOWS = f"""
**It knows** birds, in English, in one short description: the colours of head, crown, wings, belly, breast and back, the
beak, the size. Of typed sentences the first {MAX_WORDS} words are read. Recordings last from 0.3 to 30 seconds.

**It does not know** other things than birds, other languages, where the bird sits or what it does. It was trained for
some hours on two processor cores with synthetic voices: expect the right colours more often than a good bird.

**Nothing leaves this computer.** Recordings are removed when you record another or leave the page, and at the
latest {KEEP_SECONDS // 60} minutes after they were last of use.
"""
MICROPHONE = """
1. Press **Record**; the browser asks whether this page may use the microphone: choose *Allow*.
2. If it does not ask, click the icon left of the address (a padlock, a slider or a microphone), set *Microphone* to
   *Allow*, and load the page again.
3. Browsers give a microphone to `http://localhost`, `http://127.0.0.1` and `https://` pages only. From another
   computer, record with its own recorder or a phone and drop the file here (wav, mp3, m4a, ogg, flac, webm).
4. No microphone at all? Open the tab *Type* and let the sentence be said for you.
"""
API = """
The page is an interface for programs too (`pip install gradio_client`). Three lines paint a recording:

```python
from gradio_client import Client, handle_file
client = Client("{address}")
pictures = client.predict(handle_file("bird.wav"), 0, api_name="/paint")  # four PNG files; 0 chooses the noise
```

`client.predict("a small yellow bird", 0, api_name="/paint_text")` paints a typed sentence, and `/paint_sound` also a
recording that holds no speech. No server is needed from Python on this computer: `from s2i import SpeechToImage;
SpeechToImage.load()("bird.wav").save("outputs", "bird")`.
"""
COMPARE = """
One recording, painted with the same noise: from the sound, by way of the words that each recogniser understood,
and by way of the words that were said.
"""
DOWNLOAD = """
The pictures, the attention of a spoken one, and a small JSON from which `scripts/generate.sh --replay` paints the same
picture again, bit for bit on the same machine.
"""
SAID = "Painted as the typed way, and told to the held-out judge; direct painting never sees it."
FOUR = "**Vary**: the same description with four noises."
MORPH = """
**Morph** from the picture above to a second sentence, with the same noise. If the first was spoken, the second is said
by a synthetic voice, so that like is mixed with like.
"""
