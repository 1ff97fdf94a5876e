"""What can be wrong with an image file, and what the loader makes of odd ones."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import mmcv
from PIL import Image, UnidentifiedImageError

from dropblock_mm.data_checks.problems import Problem, error, missing, warning
from dropblock_mm.errors import RefusedValueError

MISSING = missing('images')
EMPTY = error('images of 0 bytes', 'Copy or download them again.')
BROKEN = error(
    'images that cannot be decoded', 'Training ends there. Copy or download them again.'
)
CUT_SHORT = error(
    'JPEGs without an end',
    'The loader may take them, with a part in grey. Copy or download them again.',
)
OTHER_SIZE = error(
    'images of another size than the annotations say',
    'The boxes are of another picture, or of a scaled one. Correct the annotations.',
)
TURNED = error(
    'images that EXIF has turned, annotated as they were before',
    'The loader turns them upright, and the boxes stay. Write them upright and without '
    "EXIF, or load with LoadImageFromFile(color_type='color_ignore_orientation').",
)
MIRRORED = error(
    'images that EXIF turns or mirrors, where no size tells how they were annotated',
    'The loader turns them. If the boxes or label maps are of the pictures as stored, '
    'they stay behind: write the images upright and without EXIF and see whether both '
    "fit, or load with LoadImageFromFile(color_type='color_ignore_orientation').",
)
UPRIGHT = warning(
    'images that EXIF has turned', 'The loader turns them upright, as annotated.'
)
GREY = warning('grey-scale images', 'Loaded as three equal channels.')
CMYK = warning('CMYK images', 'Converted to RGB, without their colour profile.')
DEEP = warning('images of 16 bits', 'Loaded with their upper 8 bits.')
DEEP_PILLOW = error(
    'images of 16 bits',
    "imdecode_backend='pillow' cuts all values off at 255. Load with 'cv2', or convert "
    'them to 8 bits.',
)
ALPHA = warning(
    'images with an alpha channel',
    'It is dropped, and what was transparent gets the colour that lies there.',
)

_ORIENTATION = 0x0112
_MIRRORED = (2, 3, 4)
_TURNED = (5, 6, 7, 8)  # with width and height exchanged
_PNG = b'\x89PNG\r\n\x1a\n'


@dataclass(frozen=True)
class Loader:
    """How the pipeline loads images: arguments of ``LoadImageFromFile``."""

    backend: str = 'cv2'
    color_type: str = 'color'

    @property
    def turns(self) -> bool:
        """Whether it obeys EXIF."""
        return 'ignore_orientation' not in self.color_type


@dataclass(frozen=True)
class ImageCheck:
    """What was found out.

    Args:
        problems: All of them.
        size: (width, height) as loaded, if it can be.
        mirrored: Whether loading changes where things are, and not the size.
        digest: The same for files with the same bytes.
    """

    problems: tuple[Problem, ...]
    size: tuple[int, int] | None = None
    mirrored: bool = False
    digest: bytes = b''


def check_image(
    path: str, annotated: tuple[int, int] | None, loader: Loader
) -> ImageCheck:
    """Decode an image.

    Args:
        path (str): The file.
        annotated: (width, height) in the annotations, if they say.
        loader: How training loads it.

    Returns:
        ImageCheck: With problems that name the path.
    """
    try:
        content = Path(path).read_bytes()
    except FileNotFoundError:
        return ImageCheck(((MISSING, path),))
    except (OSError, ValueError) as flaw:  # no name of a file, for one
        return ImageCheck(((BROKEN, f'{path}: {flaw}'),))
    if not content:
        return ImageCheck(((EMPTY, path),))
    try:
        with Image.open(io.BytesIO(content)) as image:
            image.load()
            exif = image.getexif().get(_ORIENTATION) if loader.turns else None
        if image.format not in ('JPEG', 'PNG'):
            _decode(content, loader)
    except UnidentifiedImageError:  # whose text names an object in memory
        return ImageCheck(((BROKEN, f'{path}: not an image'),))
    except Exception as flaw:  # Pillow's decoders raise many kinds
        return ImageCheck(((BROKEN, f'{path}: {flaw}'),))
    stored, turned = image.size, exif in _TURNED
    size = stored[::-1] if turned else stored
    problems = [
        *_of_file(path, content, image, loader),
        *_of_size(path, annotated, stored, size, turned),
    ]
    digest = blake2b(content).digest()
    unseen = exif in _MIRRORED or (turned and _is_square(stored))
    return ImageCheck(tuple(problems), size, unseen, digest)


def _decode(content: bytes, loader: Loader) -> None:
    """Decode as training does, what the backends may not all know."""
    if mmcv.imfrombytes(content, loader.color_type, backend=loader.backend) is None:
        raise RefusedValueError(f'not a format that {loader.backend} reads')


def _of_file(
    path: str, content: bytes, image: Image.Image, loader: Loader
) -> Iterator[Problem]:
    deep = content.startswith(_PNG) and content[24] == 16
    if image.format == 'JPEG' and b'\xff\xd9' not in content[len(content) // 2 :]:
        yield CUT_SHORT, path
    if deep:
        yield (DEEP_PILLOW if loader.backend == 'pillow' else DEEP), path
    elif image.mode in ('1', 'L'):
        yield GREY, path
    if image.mode == 'CMYK':
        yield CMYK, path
    if 'A' in image.mode or 'transparency' in image.info:
        yield ALPHA, path


def _of_size(
    path: str,
    annotated: tuple[int, int] | None,
    stored: tuple[int, int],
    size: tuple[int, int],
    turned: bool,
) -> Iterator[Problem]:
    told = f'{path}: {size[0]} x {size[1]}'
    if annotated is not None and annotated != size:
        kind = TURNED if turned and annotated == stored else OTHER_SIZE
        yield kind, f'{told}, annotated {annotated[0]} x {annotated[1]}'
    elif turned and not _is_square(stored):
        yield UPRIGHT, told


def _is_square(size: tuple[int, int]) -> bool:
    """Whether its size is the same when it is turned."""
    return size[0] == size[1]
