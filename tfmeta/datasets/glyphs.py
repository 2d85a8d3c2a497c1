"""Generated handwriting: characters of invented alphabets, for work without a network and for pretraining."""

from __future__ import annotations

import numpy as np

from tfmeta.core.validation import check_flags
from tfmeta.datasets.classes import ImageClasses, Splits
from tfmeta.datasets.glyph_strokes import Alphabet, draw, invent_alphabet

IMAGE_SIZE = 28
# Strokes are drawn black-and-white on a grid this many times finer and averaged: Omniglot's own way to grey values.
FINER = 4
# Half the width of a character, in pixels of the final image.
HALF_SIZE = 8.5
PEN_RADIUS = (2.0, 2.9)  # fine pixels
# Two characters are told apart only if their blurred, undisturbed drawings differ by this much (cosine distance).
LEAST_DIFFERENCE = 0.22
SYLLABLES = ("ba", "den", "fi", "gor", "hal", "ise", "ka", "lun", "mir", "no", "os", "pel", "qua", "ri", "sha", "tu",
             "ul", "ven", "wy", "zo")  # fmt: skip


def load_glyphs(seed: int = 0, n_alphabets: int = 40, n_drawers: int = 20, rotations: bool = True) -> Splits:
    """Generate handwritten characters of invented alphabets, the same for the same seed.

    Images are uint8 `[n, 28, 28, 1]`, ink bright on a dark background, as Omniglot's are. Nothing is read or written.

    Args:
        seed: seed of everything, 0 or more.
        n_alphabets: number of alphabets of 16 to 26 characters, at least 3; 10 % (at least one) are the validation
            part, 20 % (at least one) the test part. With 40, that is about 590 / 85 / 170 characters.
        n_drawers: drawings per character, each by another drawer.
        rotations: add every character turned by 90, 180 and 270 degrees as classes of their own, as `load_omniglot`
            does.

    Returns:
        `Splits` of `ImageClasses`; an alphabet is in one part only; class names like `"Lunosha/character03"`.

    Raises:
        ValueError: if an argument is out of range.

    References:
        Lake, Salakhutdinov, Tenenbaum (2015), Science 350: characters as programs of strokes and relations.
        https://doi.org/10.1126/science.aab3050

    Note:
        A simplification with invented parameters, not the fitted model of that paper.
    """
    for name, value, least in (("seed", seed, 0), ("n_alphabets", n_alphabets, 3), ("n_drawers", n_drawers, 1)):
        if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < least:
            raise ValueError(f"{name} must be an integer of at least {least}. Received: {name}={value!r}")
    check_flags(rotations=rotations)
    names = _invent_names(np.random.default_rng([seed, 0]), n_alphabets)
    # A generator of its own for every alphabet: the first ten are the same whether ten or forty are asked for.
    drawn = [_draw_alphabet(np.random.default_rng([seed, 1 + a]), n_drawers) for a in range(n_alphabets)]

    n_validation, n_test = max(1, n_alphabets // 10), max(1, n_alphabets // 5)
    n_train = n_alphabets - n_validation - n_test
    bounds = {
        "train": (0, n_train),
        "validation": (n_train, n_train + n_validation),
        "test": (n_train + n_validation, n_alphabets),
    }
    parts = {part: _collect(drawn[a:b], names[a:b], f"glyphs {part}") for part, (a, b) in bounds.items()}
    if rotations:
        parts = {part: classes.rotated() for part, classes in parts.items()}
    return Splits(**parts)


def _collect(drawn: list[np.ndarray], names: list[str], name: str) -> ImageClasses:
    n_drawers = drawn[0].shape[1]
    alphabets = [alphabet for images, alphabet in zip(drawn, names, strict=True) for _ in images]
    class_names = [
        f"{alphabet}/character{c + 1:02d}"
        for images, alphabet in zip(drawn, names, strict=True)
        for c in range(len(images))
    ]
    images = np.concatenate(drawn).reshape(-1, IMAGE_SIZE, IMAGE_SIZE, 1)
    labels = np.repeat(np.arange(len(class_names), dtype=np.int32), n_drawers)
    return ImageClasses(images, labels, tuple(class_names), tuple(alphabets), name)


def _invent_names(rng: np.random.Generator, n: int) -> list[str]:
    names: list[str] = []
    while len(names) < n:
        name = "".join(SYLLABLES[i] for i in rng.integers(len(SYLLABLES), size=3)).capitalize()
        if name not in names:
            names.append(name)
    return names


def _draw_alphabet(rng: np.random.Generator, n_drawers: int) -> np.ndarray:
    """Images uint8 `[n_characters, n_drawers, 28, 28]` of one alphabet."""
    n_characters = int(rng.integers(16, 27))
    alphabet = _most_different(invent_alphabet(rng, 2 * n_characters), n_characters)
    points = draw(alphabet, rng, n_drawers)
    points = points * HALF_SIZE * np.exp(rng.normal(0, 0.12, (n_characters, 1, 1, 1, 1)) - 0.05)
    points = _keep_inside(points, rng)
    radius = np.broadcast_to(rng.uniform(*PEN_RADIUS, n_drawers), (n_characters, n_drawers))
    images = render(points.reshape(n_characters * n_drawers, -1, 2), radius.reshape(-1))
    return images.reshape(n_characters, n_drawers, IMAGE_SIZE, IMAGE_SIZE)


def _keep_inside(points: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Shrink drawings that are too large and put them somewhere on the page, as people do."""
    margin = 1.0
    low, high = (extreme.reduce(points, axis=(2, 3), keepdims=True) for extreme in (np.fmin, np.fmax))
    room, size = IMAGE_SIZE - 2 * margin, high - low
    shrink = np.minimum(1, room / np.maximum(size.max(-1, keepdims=True), 1e-9))
    freedom = (room - shrink * size) / 2
    place = IMAGE_SIZE / 2 + np.clip(rng.normal(0, 1.6, size.shape), -freedom, freedom)
    return (points - (low + high) / 2) * shrink + place


def _most_different(alphabet: Alphabet, n: int) -> Alphabet:
    """Keep `n` characters, taking each in turn unless it looks like one taken before or like a mere line."""
    points = draw(alphabet)[:, 0] * HALF_SIZE + IMAGE_SIZE / 2
    plain = render(points.reshape(len(points), -1, 2), np.full(len(points), 2 * PEN_RADIUS[1]))
    blurred = plain.reshape(len(points), IMAGE_SIZE // 2, 2, IMAGE_SIZE // 2, 2).astype(np.float64).mean((2, 4))
    flat = blurred.reshape(len(points), -1)
    narrow = (np.nanmax(points, axis=(1, 2)) - np.nanmin(points, axis=(1, 2))).min(1) < 0.3 * HALF_SIZE
    flat /= np.linalg.norm(flat, axis=1, keepdims=True)
    difference = 1 - np.einsum("ip,jp->ij", flat, flat)
    taken = [0]
    while len(taken) < n:
        rest = [c for c in range(len(points)) if c not in taken]
        nearest = difference[np.ix_(rest, taken)].min(1) * np.where(narrow[rest], 0.4, 1)
        good = np.flatnonzero(nearest > LEAST_DIFFERENCE)
        taken.append(rest[good[0] if len(good) else int(nearest.argmax())])
    return alphabet.select(np.array(taken))


def render(points: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """Draw points with a round pen.

    Args:
        points: float `[n, n_points, 2]` (x, y) in pixels of the final image, close enough together to form lines;
            NaN points are left out.
        radius: radius of the pen for each image, in quarters of a pixel, `[n]`.

    Returns:
        uint8 `[n, 28, 28]`, 255 where ink covers a pixel.
    """
    n, fine = len(points), IMAGE_SIZE * FINER
    reach = int(np.ceil(radius.max()))
    wide = fine + 2 * reach  # a border as broad as the pen, so that no point has to be tested against the edge
    canvas = np.zeros(n * wide * wide, bool)
    image, point = np.nonzero(~np.isnan(points[..., 0]))
    cells = np.clip((points[image, point] * FINER).astype(np.int32), 0, fine - 1) + reach
    canvas[image * (wide * wide) + cells[:, 1] * wide + cells[:, 0]] = True
    index = np.flatnonzero(canvas)  # each cell once, however many points fell into it
    pen = radius[index // (wide * wide)]
    for dy in range(-reach, reach + 1):
        for dx in range(-reach, reach + 1):
            canvas[index[dx * dx + dy * dy <= pen * pen] + dy * wide + dx] = True
    inner = canvas.reshape(n, wide, wide)[:, reach : reach + fine, reach : reach + fine]
    covered = inner.reshape(n, IMAGE_SIZE, FINER, IMAGE_SIZE, FINER).sum(2, dtype=np.uint8).sum(3, dtype=np.uint8)
    return np.rint(covered * (255 / FINER**2)).astype(np.uint8)
