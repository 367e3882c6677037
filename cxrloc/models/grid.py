"""The grid of a backbone: how it reads the image's border, how fine it is, where its cells look."""

from typing import Any

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

WINDOWS = (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)
"""Layers that look at neighbours, or stride."""


class SamePadded(nn.Conv2d):
    """A convolution that pads as TensorFlow's "SAME" does: more at the right and the bottom.

    Where the stride s divides the input, kernel k needs k - s rows of padding; the smaller half
    goes before (tensorflow.org, `tf.nn` notes on padding). A kernel of 3 with stride 2 pads 0
    before and 1 after, where PyTorch's padding of 1 looks half a pixel further left.

    Attributes:
        padding_after: rows below and columns right of the image; `padding` is those before.

    >>> layer = SamePadded(nn.Conv2d(1, 1, kernel_size=3, stride=2, padding=1))
    >>> layer.padding, layer.padding_after
    ((0, 0), 1)
    """

    def __init__(self, layer: nn.Conv2d) -> None:
        super().__init__(
            layer.in_channels,
            layer.out_channels,
            layer.kernel_size,  # type: ignore[arg-type]
            layer.stride,  # type: ignore[arg-type]
            groups=layer.groups,
            bias=layer.bias is not None,
        )
        self.weight, self.bias = layer.weight, layer.bias
        total = max(0, self.kernel_size[0] - self.stride[0])
        self.padding = (total // 2, total // 2)
        self.padding_after = total - total // 2

    def forward(
        self, images: Float[Tensor, "batch channel row col"]
    ) -> Float[Tensor, "batch out_channel out_row out_col"]:
        """The convolution of the padded images."""
        before, after = _first_of(self.padding), self.padding_after
        padded = F.pad(images, (before, after, before, after))
        return F.conv2d(padded, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)


def pad_as_tensorflow(layers: nn.Module) -> None:
    """Give every strided convolution the padding of networks trained in TensorFlow, in place.

    Without stride both paddings are the same. For inputs whose sides are multiples of the
    network's stride; names and weights stay. To be done before `set_output_stride`.
    """
    for name, layer in list(layers.named_modules()):
        if isinstance(layer, nn.Conv2d) and layer.stride[0] > 1:
            parent, _, child = name.rpartition(".")
            setattr(layers.get_submodule(parent), child, SamePadded(layer))


def set_output_stride(layers: nn.Module, output_stride: int) -> None:
    """Coarsen the input no further than `output_stride`, by dilation, in place.

    From the layer on that would pass it, strides become 1 and kernels are spread by the factor
    left out, so that each still sees the neighbours it was trained on (Yu et al. 2017, Dilated
    Residual Networks). A pooling there keeps its reach of one such neighbour to each side.
    """
    stride, rate = 1, 1
    for name, layer in layers.named_modules():
        if not isinstance(layer, WINDOWS):
            continue
        before = rate
        step = _first_of(layer.stride)
        # A residual block's "downsample" runs beside the layer whose stride was just counted.
        if not name.endswith("downsample.0"):
            if stride * step <= output_stride:
                stride *= step
            else:
                rate *= step
        if rate > 1:
            _dilate(layer, before)


def _dilate(layer: nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d, rate: int) -> None:
    """One layer at a place where the grid is `rate` times finer than it was made for."""
    if isinstance(layer, SamePadded):
        before = rate * _first_of(layer.padding)
        layer.padding_after = rate * (layer.kernel_size[0] - 1) - before
        layer.stride, layer.dilation, layer.padding = (1, 1), (rate, rate), (before, before)
        return
    if isinstance(layer, nn.Conv2d):
        layer.stride = (1, 1)
        layer.dilation = (rate, rate)
        layer.padding = tuple(rate * (k // 2) for k in layer.kernel_size)
        return
    layer.kernel_size, layer.stride, layer.padding = 2 * rate + 1, 1, rate
    layer.ceil_mode = False
    if isinstance(layer, nn.AvgPool2d):
        layer.count_include_pad = False


def set_input_channels(layers: nn.Module, channels: int) -> None:
    """Make the first convolution read 1 channel instead of 3, in place.

    A grey image counts as red, green and blue alike: the weights are summed over the three.

    >>> layers = nn.Sequential(nn.Conv2d(3, 1, kernel_size=1))
    >>> _ = nn.init.constant_(layers[0].weight, 2.0)
    >>> set_input_channels(layers, 1)
    >>> layers[0].weight.item()
    6.0
    """
    if channels == 1:
        first = next(layer for layer in layers.modules() if isinstance(layer, nn.Conv2d))
        first.weight = nn.Parameter(first.weight.detach().sum(dim=1, keepdim=True))
        first.in_channels = 1


def cell_shift_pixels(layers: nn.Module) -> float:
    """How far right of (and below) its cell's centre the centre of what a feature sees lies.

    A feature in column j of a grid of stride J stands for the cell [J j, J (j + 1)), but padding
    at both sides of strided kernels centres its receptive field elsewhere: half a cell to the
    left in a ResNet. With kernel k, dilation d, padding p and the stride J' of the layers before,
    each layer adds J' (d (k - 1) / 2 - p) (Araujo et al. 2019, Computing Receptive Fields).
    Global pooling gives training no reason to undo it.

    >>> cell_shift_pixels(nn.Conv2d(1, 1, kernel_size=3, stride=2, padding=1))  # pixel 0, not 0.5
    -0.5
    >>> cell_shift_pixels(nn.MaxPool2d(2))
    0.0
    """
    centre, stride = 0.5, 1
    for name, layer in layers.named_modules():
        if not isinstance(layer, WINDOWS) or name.endswith("downsample.0"):
            continue
        kernel, step, padding = map(_first_of, (layer.kernel_size, layer.stride, layer.padding))
        dilation = 1 if isinstance(layer, nn.AvgPool2d) else _first_of(layer.dilation)
        centre += stride * (dilation * (kernel - 1) / 2 - padding)
        stride *= step
    return centre - stride / 2


def _first_of(value: Any) -> int:
    """Rows and columns are treated alike."""
    return value if isinstance(value, int) else value[0]
