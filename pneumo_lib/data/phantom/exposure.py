"""From line integrals to the stored grey values: scatter, quantum noise, detector, display processing, collimation."""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numba import njit

from pneumo_lib.data.phantom.projection import SIZE


@dataclass(frozen=True)
class Exposure:
    """Settings of one exposure; ranges are our choice.

    Attributes:
        scatter: scattered relative to direct light where the field is uniform.
        noise: deviation of the log signal where nothing absorbs.
        equalise: share of the low frequencies that the display processing takes away.
        sharpen: strength of its edge enhancement.
        black, white: quantiles of the body's signal shown black and white.
        gamma: of the display curve.
    """

    scatter: float
    noise: float
    equalise: float
    sharpen: float
    black: float
    white: float
    gamma: float


def choose(position: str, r: np.random.Generator) -> Exposure:
    """Settings for a PA (with grid, in the department) or AP (portable) X-ray."""
    portable = position == "AP"
    return Exposure(
        scatter=r.uniform(0.10, 0.22) if not portable else r.uniform(0.2, 0.5),
        noise=r.uniform(0.003, 0.008) * (1.5 if portable else 1),
        equalise=np.clip(r.normal(0.22, 0.15), 0, 0.5),
        sharpen=np.clip(r.normal(0.5, 0.35), 0, 1.3),
        black=r.uniform(0.0, 0.10),
        white=np.clip(r.normal(1.03, 0.05), 0.9, 1.15),
        gamma=np.exp(r.normal(-0.05, 0.2)),
    )


@lru_cache(maxsize=1)
def _grain() -> np.ndarray:
    """White and slightly correlated noise of unit deviation, float32 (1536, 1536), one per process."""
    white = np.random.default_rng(20200906).standard_normal((1536, 1536), np.float32)
    grain = 0.45 * white + cv2.GaussianBlur(white, (0, 0), 0.9) * 2.4
    return grain / grain.std()


@njit(cache=True, fastmath=True)
def _signal(path, scatter, grain, noise):
    out = np.empty_like(path)
    for i in range(path.shape[0]):
        for j in range(path.shape[1]):
            light = np.exp(-path[i, j]) + scatter[i, j]
            out[i, j] = -np.log(light) + noise * grain[i, j] / np.sqrt(light)
    return out


def develop(path: np.ndarray, body: np.ndarray, settings: Exposure, r: np.random.Generator) -> np.ndarray:
    """Line integrals float32 (1024, 1024) → display signal float32 (1024, 1024), about 0 (black) .. 1 (white).

    Args:
        body: bool (64, 64), where the patient is: the window is chosen there.
    """
    small = cv2.resize(path, (128, 128), interpolation=cv2.INTER_AREA)
    direct = np.exp(-np.minimum(small, 12))
    # Glare of the direct beam beside the patient is what a grid and collimation hold back: cap it.
    direct = np.minimum(direct, 0.25)
    wide = cv2.GaussianBlur(direct, (0, 0), 9, borderType=cv2.BORDER_REFLECT)
    narrow = cv2.GaussianBlur(direct, (0, 0), 3, borderType=cv2.BORDER_REFLECT)
    scatter = settings.scatter * (0.7 * wide + 0.3 * narrow) + 0.0005
    scatter = cv2.resize(scatter, (SIZE, SIZE), interpolation=cv2.INTER_LINEAR)
    i, j = r.integers(0, 512, 2)
    grain = _grain()[i : i + SIZE, j : j + SIZE]
    signal = _signal(path, scatter, grain, np.float32(settings.noise))
    return _display(signal, body, settings)


def _display(signal: np.ndarray, body: np.ndarray, settings: Exposure) -> np.ndarray:
    small = cv2.resize(signal, (256, 256), interpolation=cv2.INTER_AREA)
    low = cv2.GaussianBlur(small, (0, 0), 18, borderType=cv2.BORDER_REFLECT)
    middle = cv2.GaussianBlur(small, (0, 0), 2.2, borderType=cv2.BORDER_REFLECT)
    correction = -settings.equalise * low - settings.sharpen * 0.6 * middle
    signal = signal * (1 + 0.6 * settings.sharpen) + cv2.resize(
        correction, (SIZE, SIZE), interpolation=cv2.INTER_LINEAR
    )
    inside = cv2.resize(signal, (64, 64), interpolation=cv2.INTER_AREA)[body]
    dark, bright = np.quantile(inside, [0.05, 0.97])
    black = dark - (0.30 + 2 * settings.black) * (bright - dark)
    white = black + (bright - black) * settings.white
    return (signal - black) / (white - black)


@njit(cache=True, fastmath=True)
def to_grey(signal, gamma):
    """Display curve: float (H, W) → uint8 (H, W) with a soft toe and shoulder."""
    table = np.empty(4096, np.uint8)
    for k in range(4096):
        value = min(max(k / 4095 * 1.4 - 0.1, 0.0), 1.3)
        value = value**gamma
        # Shoulder: brightness saturates towards white.
        value = value if value < 0.75 else 0.75 + 0.25 * np.tanh((value - 0.75) / 0.25)
        table[k] = np.uint8(min(255.0, 4 + 240 * value))
    out = np.empty(signal.shape, np.uint8)
    for i in range(signal.shape[0]):
        for j in range(signal.shape[1]):
            at = (signal[i, j] + 0.1) / 1.4 * 4095
            out[i, j] = table[int(min(max(at, 0.0), 4095.0))]
    return out


def collimate(image: np.ndarray, position: str, r: np.random.Generator) -> None:
    """Blacken what the collimator or the film's frame hides, in place."""
    if r.random() < (0.35 if position == "PA" else 0.45):
        hidden = np.zeros((SIZE, SIZE), np.uint8)
        margin = r.gamma(1.3, 14, 4).clip(0, 120)
        lo, hi = (margin[0], margin[1]), (SIZE - margin[2], SIZE - margin[3])
        corners = np.array([lo, (hi[0], lo[1]), hi, (lo[0], hi[1])], float)
        turn = np.deg2rad(r.normal(0, 0.8))
        matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        corners = (corners - SIZE / 2) @ matrix.T + SIZE / 2
        cv2.fillPoly(hidden, [np.round(corners).astype(np.int32)], 255)
        image[hidden == 0] = r.integers(0, 6)


def annotate(image: np.ndarray, position: str, r: np.random.Generator) -> None:
    """Burn in the side marker and, on portable X-rays, the words beside it, in place."""
    font = cv2.FONT_HERSHEY_SIMPLEX
    right = r.random() < 0.25
    letter = "R" if right else "L"
    x = int(r.uniform(30, 90)) if right else int(r.uniform(900, 975))
    y = int(r.uniform(60, 260))
    grey = int(r.uniform(225, 255))
    size = r.uniform(0.9, 1.5)
    cv2.putText(image, letter, (x, y), font, size, grey, int(2 * size) + 1, cv2.LINE_AA)
    if position == "AP":
        if r.random() < 0.5:
            cv2.ellipse(
                image,
                (x + int(10 * size), y - int(11 * size)),
                (int(21 * size), int(25 * size)),
                0,
                0,
                360,
                grey,
                2,
                cv2.LINE_AA,
            )
        left = int(np.clip(x - 90, 10, 860))
        for k, word in enumerate(("AP", "PORTABLE", "SUPINE")[: int(r.integers(1, 4))]):
            cv2.putText(image, word, (left, y + int(70 + 42 * k)), font, 0.75, grey, 2, cv2.LINE_AA)
    elif r.random() < 0.5:
        initials = "".join(r.choice(list("ABCDEFGHJKLMNPRST"), int(r.integers(2, 4))))
        cv2.putText(image, initials, (x - 12, y + 26), font, 0.55, grey, 2, cv2.LINE_AA)
