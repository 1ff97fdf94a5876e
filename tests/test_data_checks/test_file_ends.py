import io

import numpy as np
import pytest
from PIL import Image

from dropblock_mm.data_checks.file_ends import cut_short


def encoded(kind):
    pixels = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


JPEG, PNG = encoded('JPEG'), encoded('PNG')
FILES = {
    'a.jpg': (JPEG, False),
    'b.PNG': (PNG, False),
    'more behind its end.jpg': (JPEG + bytes(500), False),
    'another format.jpg': (PNG, False),
    'unknown format.txt': (b'text', False),
    'without its end.jpg': (JPEG[:-2], True),
    'a half.jpeg': (JPEG[: len(JPEG) // 2], True),
    'half a map.png': (PNG[: len(PNG) // 2], True),
    'a header.png': (PNG[:20], True),
    'a byte.jpg': (b'\xff', True),
    'a page.jpg': (b'<html>404</html>', True),
}


@pytest.mark.parametrize(('content', 'cut'), FILES.values(), ids=FILES)
def test_one_file(tmp_path, request, content, cut):
    path = str(tmp_path / request.node.callspec.id)
    with open(path, 'wb') as file:
        file.write(content)
    assert cut_short([path]) == ([path] if cut else [])


def test_a_file_that_may_not_be_opened(tmp_path):
    """Here it is a folder, which nobody may open; permissions do not stop root."""
    (tmp_path / 'a.jpg').mkdir()
    assert cut_short([str(tmp_path / 'a.jpg')]) == [str(tmp_path / 'a.jpg')]


def test_many_files(tmp_path):
    """More than one thread takes at once; they come back in their order."""
    paths = [tmp_path / f'{i}.jpg' for i in range(600)]
    for i, path in enumerate(paths):
        path.write_bytes(JPEG if i % 100 else JPEG[:-2])
    assert cut_short(list(map(str, paths))) == [str(p) for p in paths[::100]]


def test_a_picture_too_large_to_be_decoded_passes(tmp_path, monkeypatch):
    path = tmp_path / 'a.jpg'
    path.write_bytes(JPEG + bytes(500))
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 10)
    assert cut_short([str(path)]) == []
