"""Puts a running page under load and tells what came back: `python tests/s2i/app/load.py http://127.0.0.1:7860 PID`.

200 requests one after the other, spoken and typed in turn, then 20 at once, each of which must be told its place in the
queue; and the memory of the process PID, where it is given, in between. Loopback addresses only.
"""

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from urllib.parse import urlsplit

import httpx
from asking import ROOT, ask, file_data, memory, number_of, upload

IN_A_ROW, AT_ONCE = 200, 20
TEXTS = [
    f"a small {a} bird with {b} wings"
    for a, b in product(("red", "blue", "yellow", "brown", "white"), ("black", "gray", "green", "white"))
]
RECORDINGS = sorted((ROOT / "pretrained" / "examples").glob("*.flac"))


def main(address, process=None):
    """Run all of it; 0 if every request was answered."""
    if urlsplit(address).hostname not in ("127.0.0.1", "localhost"):
        raise SystemExit("error: loads pages of this machine only")
    with httpx.Client(base_url=address, timeout=600, limits=httpx.Limits(max_connections=64)) as client:
        speech, text = (number_of(client, name) for name in ("paint", "paint_text"))

        def paint(number, session):
            if number % 2:
                return ask(client, text, [TEXTS[number % len(TEXTS)], number], session)
            place = upload(client, RECORDINGS[number % len(RECORDINGS)])
            return ask(client, speech, [file_data(place), number], session)

        def told(what):
            if process:
                print(f"memory {what}: {memory(process):.0f} MB", flush=True)

        told("before")
        answers = []
        for number in range(IN_A_ROW):
            answers.append(paint(number, f"row-{number}"))
            if number + 1 in (1, 2, 10, 50, 100, 150, 200):
                told(f"after {number + 1} in a row")
        failed = sum(answer.error is not None or not answer.data for answer in answers)
        seconds = sorted(answer.seconds for answer in answers)
        middle = f"median {seconds[len(seconds) // 2]:.2f} s, slowest {seconds[-1]:.2f} s"
        print(f"{IN_A_ROW} in a row: {failed} failed, {middle}")
        begun = time.monotonic()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            answers = list(pool.map(lambda k: paint(k, f"once-{k}"), range(AT_ONCE)))
        bad = sum(answer.error is not None or not answer.data for answer in answers)
        places = [answer.places[0] + 1 for answer in answers if answer.places]
        print(
            f"{AT_ONCE} at once: {bad} failed, {time.monotonic() - begun:.1f} s for all, "
            f"{len(places)} were told their place, the last was number {max(places, default=0)}"
        )
        told("after all")
    return 1 if failed or bad else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
