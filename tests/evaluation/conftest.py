import numpy as np
import pytest
import segmentation_models_pytorch as smp
import torch


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Networks this small gain nothing from more threads, and tests that run side by side lose much."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def network():
    """A small U-Net of random weights, the same in every run."""
    torch.manual_seed(0)
    model = smp.Unet("resnet18", encoder_weights=None, encoder_depth=3, decoder_channels=(16, 8, 8), in_channels=3)
    model.channels = 3
    return model.eval()


@pytest.fixture(scope="session")
def images():
    """Seven smooth grey images uint8 (7, 64, 64)."""
    y, x = np.mgrid[:64, :64] / 64
    shift = np.arange(7)[:, None, None]
    return np.round(127 + 100 * np.sin(5 * x + shift) * np.cos(4 * y - shift)).astype(np.uint8)


@pytest.fixture(scope="session")
def tiny_maps(network, images):
    with torch.inference_mode():
        inputs = torch.as_tensor(images[:3]).float().div(255)[:, None].expand(-1, 3, -1, -1)
        return torch.sigmoid(4 * network(inputs))[:, 0].numpy()
