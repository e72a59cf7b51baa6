"""Power: the difference that a study can see, and the seeds and test images that a difference needs.

All for a two-sided test at 0.05 by Student's t, exact by its noncentral distribution.
"""

from collections.abc import Callable
from dataclasses import dataclass

from scipy import optimize, stats

from pneumo_lib.metrics.crossed import LEVEL, Spread, satterthwaite

POWER = 0.8

MOST_IMAGES, MOST_SEEDS = 10**7, 1000
"""Above these the answer is that no study will do."""


@dataclass(frozen=True)
class Components:
    """Variances of a difference of one seed on one image, from which those of S seeds and N images follow.

    seed: between seeds, the same on all images.
    image: between images, the same for all seeds; of patients with as many images each as in the study it was measured in.
    interaction: the rest.
    arms: 2 where the two pipelines have seeds of their own (`seed` and `interaction` are sums over both), 1 where paired.
    """

    seed: float
    image: float
    interaction: float
    arms: int = 2

    @classmethod
    def of(cls, found: Spread, n_seeds: list[int], n_images: int) -> "Components":
        """From a spread with seeds; a component that comes out negative is 0."""
        pairs = list(zip(found.seeds, found.interactions, n_seeds, strict=True))
        return cls(
            seed=float(sum(n * max(seed - interaction, 0) for seed, interaction, n in pairs)),
            image=float(n_images * max(found.patients - sum(found.interactions), 0)),
            interaction=float(n_images * sum(n * interaction for _, interaction, n in pairs)),
            arms=len(pairs),
        )

    def precision(self, n_seeds: int, n_images: int) -> tuple[float, float]:
        """Standard error and degrees of freedom of the mean difference over S seeds per arm and N images."""
        images = (self.image + self.interaction / n_seeds) / n_images
        seeds = (self.seed + self.interaction / n_images) / n_seeds
        variance = images + self.seed / n_seeds
        dof = satterthwaite(variance, [(images, n_images - 1), (seeds, self.arms * (n_seeds - 1))])
        return variance**0.5, float(dof)


def power(difference: float, standard_error: float, dof: float) -> float:
    """Probability that a true difference is seen: that p < 0.05, and in its direction; 1 without any error."""
    if not standard_error:
        return float(difference != 0)
    return float(stats.nct.sf(stats.t.ppf((1 + LEVEL) / 2, dof), dof, abs(difference) / standard_error))


def detectable(standard_error: float, dof: float, wanted: float = POWER) -> float:
    """The smallest difference that is seen with this power."""
    errors = optimize.brentq(lambda shift: power(shift, 1, dof) - wanted, 0, 100)
    return float(errors * standard_error)


def images_needed(difference: float, components: Components, n_seeds: int, wanted: float = POWER) -> int | None:
    """Test images with which n_seeds seeds per arm (2 or more) see a difference; None where no number of images will do."""
    return _smallest(lambda n: power(difference, *components.precision(n_seeds, n)) >= wanted, MOST_IMAGES)


def seeds_needed(difference: float, components: Components, n_images: int, wanted: float = POWER) -> int | None:
    """Seeds per arm with which n_images test images see a difference; None where no number of seeds will do."""
    return _smallest(lambda n: power(difference, *components.precision(n, n_images)) >= wanted, MOST_SEEDS)


def _smallest(enough: Callable[[int], bool], most: int) -> int | None:
    """The smallest number from 2 to most that is enough, where all above it are."""
    if not enough(most):
        return None
    low, high = 1, most
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
