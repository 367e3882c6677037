"""Restores batch normalisation for training where its statistics were folded into the weights."""

import torch
from jaxtyping import Float
from torch import Tensor, nn


def unfold_normalisation(layers: nn.Module, images: Float[Tensor, "batch channel row col"]) -> None:
    """Set the statistics of every batch normalisation to those of these images, in place.

    The output in evaluation mode stays the same, and in training mode a batch of similar images now
    gives nearly the same output. Let a x + c be the function of a layer before the change, and m
    and v the mean and variance of its inputs x. Afterwards the layer computes
    w (x - m) / sqrt(v + eps) + b with w = a sqrt(v + eps) and b = c + a m.

    Weights that were converted for inference often have a mean of 0 and a variance of 1, for
    example those of MobileNetV2 from Keras. If they were trained without this correction, the first
    batch would rescale every channel and destroy what was learned.

    Args:
        layers: layers to correct; they are in evaluation mode during the measurement, and their
            modes are restored afterwards.
        images: a few dozen images, preprocessed for the layers.

    >>> layers = nn.Sequential(nn.BatchNorm2d(1, eps=0.0))  # the identity, so far
    >>> unfold_normalisation(layers, torch.tensor([[[[1.0, 5.0]]]]))  # mean 3, variance 4
    >>> layers[0].running_mean, layers[0].running_var, layers[0].weight.data, layers[0].bias.data
    (tensor([3.]), tensor([4.]), tensor([2.]), tensor([3.]))
    """
    modes = {module: module.training for module in layers.modules()}
    handles = [
        layer.register_forward_pre_hook(_measure)
        for layer in layers.modules()
        if isinstance(layer, nn.BatchNorm2d)
    ]
    try:
        with torch.no_grad():
            layers.eval()(images)
    finally:
        for handle in handles:
            handle.remove()
        for module, training in modes.items():
            module.training = training


def _measure(layer: nn.BatchNorm2d, inputs: tuple[Tensor]) -> None:
    """Set the statistics to those of the inputs; compensate for the change in weight and bias."""
    old_mean, old_variance = layer.running_mean, layer.running_var
    if old_mean is None or old_variance is None:  # it always takes those of the batch
        return
    variance, mean = torch.var_mean(inputs[0], dim=(0, 2, 3), correction=0)
    slope = layer.weight / (old_variance + layer.eps).sqrt()
    layer.bias.add_(slope * (mean - old_mean))
    layer.weight.copy_(slope * (variance + layer.eps).sqrt())
    old_mean.copy_(mean)
    old_variance.copy_(variance)
