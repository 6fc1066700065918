import asyncio
import io

import pytest

pytest.importorskip("gradio", reason="gradio is not installed; run: pip install -r requirements.txt")
from gradio import processing_utils, route_utils
from starlette.datastructures import Headers

from s2i.app import patches

BOUNDARY = "bird"
HEAD = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="files"; filename="a.wav"\r\n\r\n'.encode()


@pytest.fixture(autouse=True)
def patched():
    for _ in range(2):  # to say it twice is to say it once
        patches.apply()


def test_addresses_are_not_fetched():
    with pytest.raises(ValueError, match="not fetched"):
        asyncio.run(processing_utils.async_ssrf_protected_download("http://127.0.0.1/", "/tmp"))


def test_equal_uploads_have_names_of_their_own():
    names = set()
    for _ in range(3):
        upload = route_utils.GradioUploadFile(io.BytesIO(b"bird"), size=4, filename="bird.wav")
        upload.sha.update(b"bird")
        names.add(upload.sha.hexdigest())
    assert len(names) == 3


def parse(folder, chunks, error=None):
    async def stream():
        for chunk in chunks:
            yield chunk
        if error:
            raise error

    headers = Headers({"content-type": f"multipart/form-data; boundary={BOUNDARY}"})
    return asyncio.run(
        route_utils.GradioMultiPartParser(headers, stream(), upload_dir=folder, max_file_size=10_000).parse()
    )


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), ConnectionError("gone")])
def test_nothing_stays_of_an_upload_that_broke_off(tmp_path, error):
    with pytest.raises(type(error)):
        parse(tmp_path, [HEAD, b"x" * 5000], error)
    assert list(tmp_path.iterdir()) == []


def test_nothing_stays_of_an_upload_that_is_too_large(tmp_path):
    with pytest.raises(Exception, match="maximum allowed size"):
        parse(tmp_path, [HEAD, b"x" * 20_000])
    assert list(tmp_path.iterdir()) == []


def test_a_whole_upload_stays(tmp_path):
    parse(tmp_path, [HEAD, b"x" * 5000, f"\r\n--{BOUNDARY}--\r\n".encode()])
    assert [path.stat().st_size for path in tmp_path.iterdir()] == [5000]
