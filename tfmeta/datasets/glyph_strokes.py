"""Invented alphabets: how a character is put together from strokes, and how one drawer draws it.

A character is a small program in the spirit of Lake et al.: strokes, each a curve through control points, each hung
onto an earlier one at its start, end or somewhere along, or standing by itself. Drawing it runs the program with noise,
so strokes stay attached while everything about them varies.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

N_CONTROL = 9
MAX_STROKES = 5
N_SAMPLES = 96
KINDS = ("line", "arc", "loop", "hook", "wave", "corner", "zigzag", "dot")


class Alphabet(NamedTuple):
    """Strokes and composition of all characters of one alphabet.

    Args:
        shapes: control points of each stroke about its own origin, `[n_characters, MAX_STROKES, N_CONTROL, 2]`.
        used: which strokes exist, bool `[n_characters, MAX_STROKES]`.
        parent: index of the earlier stroke that a stroke hangs on, -1 for none, `[n_characters, MAX_STROKES]`.
        parent_at: where on the parent, 0 (start) to 1 (end), `[n_characters, MAX_STROKES]`.
        own_at: which point of the stroke itself touches, 0 to 1, `[n_characters, MAX_STROKES]`.
        offset: position of a stroke that hangs on none, `[n_characters, MAX_STROKES, 2]`.
        curviness: 0 draws straight lines between control points, 1 a smooth spline.
    """

    shapes: np.ndarray
    used: np.ndarray
    parent: np.ndarray
    parent_at: np.ndarray
    own_at: np.ndarray
    offset: np.ndarray
    curviness: float

    def select(self, characters: np.ndarray) -> Alphabet:
        """Keep some characters.

        Args:
            characters: indices, `[n]`.

        Returns:
            The alphabet of these characters.
        """
        return Alphabet(*(field[characters] for field in self[:-1]), self.curviness)


def invent_alphabet(rng: np.random.Generator, n_characters: int) -> Alphabet:
    """Invent characters that share a style: kinds of stroke, directions, curviness, number of strokes.

    Args:
        rng: source of randomness.
        n_characters: number of characters.

    Returns:
        An `Alphabet`.

    References:
        Lake, Salakhutdinov, Tenenbaum (2015), Science 350, figure 3: characters from parts, sub-parts and relations.
        https://doi.org/10.1126/science.aab3050
    """
    taste = rng.random(len(KINDS)) ** 2 * np.array([1.2, 1.4, 0.7, 0.9, 0.6, 0.9, 0.4, 0.25]) + 0.02
    taste /= taste.sum()
    direction_step = rng.choice([np.pi / 2, np.pi / 4, np.pi / 8])
    mean_strokes = rng.uniform(2.3, 4.0)
    attached = rng.uniform(0.65, 0.98)
    # Strokes that come back in many characters are what makes the characters of one alphabet alike.
    pool = [_stroke(rng, KINDS[rng.choice(len(KINDS), p=taste)], direction_step) for _ in range(rng.integers(7, 14))]

    shapes = np.zeros((n_characters, MAX_STROKES, N_CONTROL, 2))
    used = np.zeros((n_characters, MAX_STROKES), bool)
    parent = np.full((n_characters, MAX_STROKES), -1)
    parent_at = np.zeros((n_characters, MAX_STROKES))
    own_at = np.zeros((n_characters, MAX_STROKES))
    offset = np.zeros((n_characters, MAX_STROKES, 2))
    for c in range(n_characters):
        n_strokes = int(np.clip(1 + rng.poisson(mean_strokes - 1), 1, MAX_STROKES))
        for s in range(n_strokes):
            if rng.random() < 0.7:
                shape = pool[rng.integers(len(pool))] * rng.choice([1.0, 1.0, 0.7, 0.5])
            else:
                shape = _stroke(rng, KINDS[rng.choice(len(KINDS), p=taste)], direction_step)
            if s == 0 and n_strokes == 1 and np.ptp(shape, axis=0).min() < 0.3:
                shape = _stroke(rng, "zigzag", direction_step)  # lone dots and lines would be in every alphabet
            shapes[c, s], used[c, s] = shape, True
            if s and rng.random() < attached:
                parent[c, s] = rng.integers(s)
                parent_at[c, s] = rng.choice([0.0, 1.0, 0.5, rng.random()])
                own_at[c, s] = rng.choice([0.0, 0.0, 1.0, 0.5])
            elif s:
                offset[c, s] = rng.uniform(-0.9, 0.9, 2)
    return Alphabet(shapes, used, parent, parent_at, own_at, offset, rng.uniform(0.35, 1.0))


def _stroke(rng: np.random.Generator, kind: str, direction_step: float) -> np.ndarray:
    """Control points `[N_CONTROL, 2]` (x right, y down) of one stroke, centred on the origin, about 1 long."""
    t = np.linspace(0, 1, N_CONTROL)
    if kind == "line":
        points = np.stack([t - 0.5, rng.normal(0, 0.05) * np.sin(np.pi * t)], 1) * rng.uniform(0.7, 1.6)
    elif kind in ("arc", "loop"):
        span = rng.uniform(0.5, 1.6) * np.pi if kind == "arc" else rng.uniform(1.9, 2.3) * np.pi
        angle = span * (t - 0.5) * rng.choice([-1, 1])
        points = np.stack([np.cos(angle), np.sin(angle) * rng.uniform(0.6, 1.3)], 1) * rng.uniform(0.3, 0.6)
    elif kind == "hook":
        bend = np.clip((t - rng.uniform(0.4, 0.7)) / 0.4, 0, 1) * rng.uniform(0.5, 1.3) * np.pi * rng.choice([-1, 1])
        points = np.cumsum(np.stack([np.cos(bend), np.sin(bend)], 1), 0) * rng.uniform(0.1, 0.18)
    elif kind == "wave":
        phase = np.pi * rng.choice([2, 2, 3, 4]) * t
        points = np.stack([(t - 0.5) * rng.uniform(0.8, 1.5), np.sin(phase) * rng.uniform(0.15, 0.4)], 1)
    elif kind == "dot":
        points = np.stack([0.08 * (t - 0.5), 0 * t], 1)
    else:
        n_corners = 3 if kind == "corner" else rng.integers(4, 6)
        turns = rng.uniform(0.35, 0.8, n_corners) * np.pi * rng.choice([-1, 1])
        if kind == "zigzag":
            turns[1::2] *= -1
        heading = np.cumsum(turns)
        steps = np.stack([np.cos(heading), np.sin(heading)], 1)[1:] * rng.uniform(0.3, 0.7, (n_corners - 1, 1))
        corners = np.concatenate([np.zeros((1, 2)), np.cumsum(steps, 0)])
        points = np.stack([np.interp(t * (n_corners - 1), np.arange(n_corners), corners[:, i]) for i in (0, 1)], 1)
    turn = direction_step * rng.integers(0, 16) + rng.normal(0, 0.06)
    return (points - (points.max(0) + points.min(0)) / 2) @ _rotation(turn)


def draw(alphabet: Alphabet, rng: np.random.Generator | None = None, n_drawers: int = 1) -> np.ndarray:
    """Draw every character once per drawer.

    Args:
        alphabet: what to draw.
        rng: source of randomness; `None` draws without any variation.
        n_drawers: number of drawers, each with a slant, proportions, size and carefulness of its own.

    Returns:
        Points of the pen, `[n_characters, n_drawers, MAX_STROKES, N_SAMPLES, 2]` (x, y), 1 being half a character's
        size; points of strokes that do not exist are NaN.
    """
    curves, plain = _trace(alphabet, rng, n_drawers), _trace(alphabet)
    # Centred by the character's own box, not by each drawing's: otherwise the variation would be normalised away.
    low, high = np.fmin.reduce(plain, axis=(1, 2, 3)), np.fmax.reduce(plain, axis=(1, 2, 3))
    half = np.maximum((high - low).max(1) / 2, 0.12)
    curves = (curves - ((low + high) / 2)[:, None, None, None]) / half[:, None, None, None, None]
    if rng is None:
        return curves
    lead = curves.shape[:2]
    slant = rng.normal(0, 0.13, (1, n_drawers)) + rng.normal(0, 0.05, lead)
    turn = rng.normal(0, 0.06, (1, n_drawers)) + rng.normal(0, 0.07, lead)
    scale = np.exp(rng.normal(0, 0.10, (1, n_drawers, 2)) + rng.normal(0, 0.09, (*lead, 2)))
    shear = np.zeros((*lead, 2, 2))
    shear[..., 0, 0] = shear[..., 1, 1] = 1
    shear[..., 1, 0] = -slant
    affine = np.einsum("cdxy,cdyz->cdxz", shear * scale[..., None, :], _rotation(turn))
    return np.einsum("cdstx,cdxy->cdsty", curves, affine)


def _trace(alphabet: Alphabet, rng: np.random.Generator | None = None, n_drawers: int = 1) -> np.ndarray:
    """Strokes `[n_characters, n_drawers, MAX_STROKES, N_SAMPLES, 2]`, hung onto each other, wherever that leads."""
    n_characters = len(alphabet.used)
    lead = (n_characters, n_drawers, MAX_STROKES)
    control = np.repeat(alphabet.shapes[:, None], n_drawers, 1)
    if rng is not None:
        care = rng.uniform(0.5, 1.3, (1, n_drawers, 1))
        turn = rng.normal(0, 0.10, lead) * care
        # Long waves of deviation along a stroke are what a hand makes; independent noise per point would look torn.
        wobble = np.einsum("kj,cdsjx->cdskx", _smoothing(), rng.normal(0, 1, (*lead, N_CONTROL, 2)))
        size = np.ptp(control, axis=3, keepdims=True).max(-1, keepdims=True)
        stretch = np.exp(rng.normal(0, 0.12, (*lead, 1, 2)) * care[..., None, None])
        control = np.einsum("cdskx,cdsxy->cdsky", control, _rotation(turn)) * stretch
        control = control + wobble * (0.01 + 0.055 * size) * care[..., None, None]
    basis = _basis(np.linspace(0, 1, N_SAMPLES), alphabet.curviness)
    curves = np.einsum("tk,cdskx->cdstx", basis, control)

    rows, drawers = np.arange(n_characters)[:, None], np.arange(n_drawers)[None]
    for s in range(1, MAX_STROKES):
        parent = np.maximum(alphabet.parent[:, s, None], 0)
        hangs = alphabet.parent[:, s] >= 0
        slip = 0.0 if rng is None else rng.normal(0, 0.04, (n_characters, n_drawers, 2)) * care
        slide = np.zeros((2, n_characters, n_drawers)) if rng is None else rng.normal(0, 0.04, (2, *lead[:2]))
        on_parent = _sample_index(alphabet.parent_at[:, s, None] + slide[0])
        on_own = _sample_index(alphabet.own_at[:, s, None] + slide[1])
        move = curves[rows, drawers, parent, on_parent] - curves[rows, drawers, s, on_own]
        move = np.where(hangs[:, None, None], move, alphabet.offset[:, s, None]) + slip
        curves[:, :, s] += move[:, :, None]
    curves[~np.broadcast_to(alphabet.used[:, None], lead)] = np.nan
    return curves


def _sample_index(position: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(position, 0, 1) * (N_SAMPLES - 1)).astype(int)


def _rotation(angle) -> np.ndarray:
    """Matrices `[..., 2, 2]` that turn row vectors by `angle` radians."""
    c, s = np.cos(angle), np.sin(angle)
    return np.stack([np.stack([c, s], -1), np.stack([-s, c], -1)], -2)


def _smoothing() -> np.ndarray:
    """Matrix `[N_CONTROL, N_CONTROL]` that turns independent noise of deviation 1 into smooth noise of deviation 1."""
    distance = np.arange(N_CONTROL)[:, None] - np.arange(N_CONTROL)
    weights = np.exp(-0.5 * (distance / 1.6) ** 2)
    return weights / np.sqrt((weights**2).sum(1, keepdims=True))


def _basis(t: np.ndarray, curviness: float) -> np.ndarray:
    """Weights `[len(t), N_CONTROL]` of the control points: a Catmull-Rom spline blended with straight lines.

    References:
        Catmull, Rom (1974), "A class of local interpolating splines". https://doi.org/10.1016/B978-0-12-079050-0.50020-5
    """
    x = t * (N_CONTROL - 1)
    left = np.minimum(x.astype(int), N_CONTROL - 2)
    u = x - left
    spline = np.stack([-u + 2 * u**2 - u**3, 2 - 5 * u**2 + 3 * u**3, u + 4 * u**2 - 3 * u**3, -(u**2) + u**3], 1) / 2
    straight = np.stack([0 * u, 1 - u, u, 0 * u], 1)
    weights = curviness * spline + (1 - curviness) * straight
    basis = np.zeros((len(t), N_CONTROL))
    for shift in range(4):
        np.add.at(basis, (np.arange(len(t)), np.clip(left + shift - 1, 0, N_CONTROL - 1)), weights[:, shift])
    return basis
