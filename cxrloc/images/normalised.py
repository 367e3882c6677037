"""Converts grey levels to a network's input, on the network's device."""

import torch
from jaxtyping import Float
from torch import Tensor

from cxrloc.devices import sent
from cxrloc.images.preprocessing import Preprocessing


def normalised(
    grey: Float[Tensor, "image view row col"], preprocessing: Preprocessing
) -> Float[Tensor, "image channel row col"]:
    """The network's input as of `preprocess`: (grey - mean) / std for each channel of each view.

    Images are standardised after their augmentation (`Preprocessing.standardised`).
    """
    # The formula of `standardise`, which is in numpy because graphs run without torch.
    if preprocessing.standardised:
        spread, centre = torch.std_mean(grey, dim=(2, 3), correction=0, keepdim=True)
        grey = (grey - centre) / spread.clamp(min=1e-6)
    mean, std = (
        sent(torch.tensor(values), grey.device)[:, None, None]
        for values in (preprocessing.mean, preprocessing.std)
    )  # channel 1 1
    return ((grey[:, :, None] - mean) / std).flatten(1, 2)
