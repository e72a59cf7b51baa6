"""From line integrals to the stored grey values: scatter, quantum noise, detector, display processing, collimation."""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numba import njit

from pneumo_lib.phantom.geometry import SIZE


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
        noise=np.exp(r.normal(-6.4, 0.45)) * (1.5 if portable else 1),
        equalise=np.clip(r.normal(0.22, 0.15), 0, 0.5),
        sharpen=np.clip(r.normal(0.65, 0.35), 0, 1.4),
        black=r.uniform(0.0, 0.10),
        white=np.clip(r.normal(1.21, 0.14), 0.93, 1.6),
        gamma=np.exp(r.normal(0.19, 0.27)),
    )


@lru_cache(maxsize=1)
def _grain() -> np.ndarray:
    """White and slightly correlated noise of unit deviation, float32 (1536, 1536), one per process."""
    white = np.random.default_rng(20200906).standard_normal((1536, 1536), np.float32)
    grain = 0.45 * white + cv2.GaussianBlur(white, (0, 0), 0.9) * 2.4
    return grain / grain.std()


def develop(path: np.ndarray, body: np.ndarray, settings: Exposure, r: np.random.Generator) -> np.ndarray:
    """Line integrals float32 (1024, 1024), overwritten, → the displayed image, uint8 (1024, 1024).

    Args:
        body: bool (64, 64), where the patient is: the window is chosen there.
    """
    # OpenCV fills an output array only where the types agree, and says nothing otherwise.
    assert path.dtype == np.float32
    small = cv2.resize(path, (128, 128), interpolation=cv2.INTER_AREA)
    # A grid and collimation hold back the glare of the direct beam next to the patient: cap it.
    direct = np.minimum(np.exp(-np.minimum(small, 12)), 0.25)
    wide = cv2.GaussianBlur(direct, (0, 0), 9, borderType=cv2.BORDER_REFLECT)
    narrow = cv2.GaussianBlur(direct, (0, 0), 3, borderType=cv2.BORDER_REFLECT)
    scatter = cv2.resize(settings.scatter * (0.7 * wide + 0.3 * narrow) + 0.0005, (SIZE, SIZE))
    i, j = r.integers(0, 512, 2)
    _expose(path, scatter, _grain()[i : i + SIZE, j : j + SIZE], settings.noise)
    return _display(path, body, settings)


def _expose(path: np.ndarray, scatter: np.ndarray, grain: np.ndarray, noise: float) -> None:
    """Replace line integrals by the detector's logarithmic signal, in place.

    OpenCV's exp and log are vectorised, NumPy's and Numba's take three times as long here; strips stay in the cache.
    """
    rows = 32
    light, spare = np.empty((2, rows, SIZE), np.float32)
    for top in range(0, SIZE, rows):
        strip = path[top : top + rows]
        np.negative(strip, out=strip)
        cv2.exp(strip, dst=light)
        light += scatter[top : top + rows]
        cv2.log(light, dst=strip)
        # Quantum noise: the light's relative deviation goes with the root of the number of quanta.
        np.multiply(strip, np.float32(-0.5), out=spare)
        cv2.exp(spare, dst=light)
        light *= grain[top : top + rows]
        light *= np.float32(noise)
        np.subtract(light, strip, out=strip)


def _display(signal: np.ndarray, body: np.ndarray, settings: Exposure) -> np.ndarray:
    small = cv2.resize(signal, (256, 256), interpolation=cv2.INTER_AREA)
    low = cv2.GaussianBlur(cv2.resize(small, (64, 64), interpolation=cv2.INTER_AREA), (0, 0), 4.5)
    middle = cv2.GaussianBlur(small, (0, 0), 2.2)
    gain = 1 + 0.6 * settings.sharpen
    correction = -settings.equalise * cv2.resize(low, (256, 256)) - 0.6 * settings.sharpen * middle
    inside = cv2.resize(gain * small + correction, (64, 64), interpolation=cv2.INTER_AREA)[body]
    dark, bright = np.quantile(inside, [0.05, 0.97])
    black = dark - (0.30 + 2 * settings.black) * (bright - dark)
    white = black + (bright - black) * settings.white
    return _to_grey(
        signal, cv2.resize(correction - black, (SIZE, SIZE)), gain, 1 / (white - black), _curve(settings.gamma)
    )


def _curve(gamma: float) -> np.ndarray:
    """Display curve from signal -0.1..1.3 in 4,096 steps to grey, uint8: a power with a soft shoulder towards white."""
    value = np.linspace(-0.1, 1.3, 4096).clip(0) ** gamma
    value = np.where(value < 0.7, value, 0.7 + 0.3 * np.tanh((value - 0.7) / 0.3))
    return np.clip(3 + 250 * value, 0, 255).astype(np.uint8)


@njit(cache=True, fastmath=True)
def _to_grey(signal, correction, gain, scale, curve):
    out = np.empty(signal.shape, np.uint8)
    gain, scale = np.float32(gain), np.float32(scale)
    step, zero = np.float32(4095 / 1.4), np.float32(0.1)
    for i in range(signal.shape[0]):
        for j in range(signal.shape[1]):
            at = ((signal[i, j] * gain + correction[i, j]) * scale + zero) * step
            out[i, j] = curve[int(min(max(at, np.float32(0)), np.float32(4095)))]
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
        cv2.bitwise_and(image, hidden, dst=image)


def annotate(image: np.ndarray, position: str, r: np.random.Generator) -> None:
    """Burn in the side marker and, on portable X-rays, the words next to it, in place."""
    right = r.random() < 0.25
    x, y = int(r.uniform(40, 110) if right else r.uniform(890, 970)), int(r.uniform(60, 260))
    size, grey = r.uniform(0.9, 1.5), int(r.uniform(225, 255))
    letter = "R" if right else "L"
    if position == "PA":
        initials = "".join(r.choice(list("ABCDEFGHJKLMNPRST"), 3)) if r.random() < 0.5 else ""
        _stamp(image, letter, initials, (x, y), size, grey, r.normal(0, 12))
        return
    _stamp(image, letter, "", (x, y), size, grey, 0.0)
    if r.random() < 0.5:
        cv2.circle(image, (x, y), int(24 * size), grey, 2, cv2.LINE_AA)
    start, left = y + (150 if right else 70), int(np.clip(x - 90, 10, 860))
    if r.random() < 0.3:
        cv2.arrowedLine(image, (x, start + 50), (x, start - 10), grey, 3, cv2.LINE_AA, tipLength=0.4)
        start += 90
    for k, word in enumerate(("AP", "PORTABLE", r.choice(["SUPINE", "ERECT"]))[: int(r.integers(0, 4))]):
        cv2.putText(image, word, (left, start + 42 * k), cv2.FONT_HERSHEY_SIMPLEX, 0.75, grey, 2, cv2.LINE_AA)


def _stamp(image: np.ndarray, letter: str, initials: str, centre, size: float, grey: int, turn: float) -> None:
    """A lead letter, turned by a few degrees, with the radiographer's initials below it."""
    font, side = cv2.FONT_HERSHEY_SIMPLEX, 128
    patch: np.ndarray = np.zeros((side, side), np.uint8)
    (wide, high), _ = cv2.getTextSize(letter, font, size, 3)
    cv2.putText(patch, letter, ((side - wide) // 2, (side + high) // 2), font, size, grey, 4, cv2.LINE_AA)
    if initials:
        (wide, _), _ = cv2.getTextSize(initials, font, 0.5, 2)
        cv2.putText(patch, initials, ((side - wide) // 2, side // 2 + high + 6), font, 0.5, grey, 2, cv2.LINE_AA)
    patch = cv2.warpAffine(patch, cv2.getRotationMatrix2D((side / 2, side / 2), turn, 1), (side, side))
    top, left = max(centre[1] - side // 2, 0), int(np.clip(centre[0] - side // 2, 0, SIZE - side))
    place = image[top : top + side, left : left + side]
    np.maximum(place, patch, out=place)
