"""The small network everywhere, one thread, float32, and one finished training that tests share."""

import sys
from pathlib import Path

import pytest
import segmentation_models_pytorch as smp
import torch

from pneumo_lib import hardware, training

sys.path.append(str(Path(__file__).parent))
import toy  # noqa: E402


@pytest.fixture(scope="module", autouse=True)
def small():
    """Sums, and so weights, depend on the number of threads in their last bits, and on the processor's bfloat16 in more."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(smp, "Unet", toy.small_unet)
        patch.setattr(hardware, "has_bfloat16", toy.no_bfloat16)
        yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """exp4 trained without interruption."""
    folder = tmp_path_factory.mktemp("finished")
    result = training.train(toy.experiment(), toy.ToyData(), folder, workers=0)
    return folder, result
