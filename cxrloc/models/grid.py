"""The feature grid of a backbone: its padding at the border, its stride and its cell shift."""

from typing import Any

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

WINDOWS = (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)
"""Layers with a kernel and a stride."""

SHORTCUTS = ("downsample", "proj", "branch1")
"""Names of the layers in torchvision and timm that run beside the layers of a block."""

PADDED_WHEN_RUN = ("Conv2dSame", "MaxPool2dSame", "AvgPool2dSame")
"""Classes of timm that pad their input as TensorFlow does, whatever their `padding` says."""


class SamePadded(nn.Conv2d):
    """A convolution with the "SAME" padding of TensorFlow: more at the right and the bottom.

    Where the stride s divides the input, kernel k needs k - s rows of padding; the smaller half
    goes before the image (tensorflow.org, `tf.nn` notes on padding). A kernel of 3 with stride 2
    gets 0 before and 1 after. With PyTorch's padding of 1 on both sides, the kernel lies one pixel
    further left.

    Attributes:
        padding_after: padding rows below and columns right of the image; `padding` is the number
            above and left of it.

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
        before, after = first_of(self.padding), self.padding_after
        padded = F.pad(images, (before, after, before, after))
        return F.conv2d(padded, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)


def pad_as_tensorflow(layers: nn.Module) -> None:
    """Give every strided convolution the padding of networks trained in TensorFlow, in place.

    Convolutions of stride 1 are not changed, since the padding of both libraries is the same there.
    The sides of the input must be multiples of the network's stride. Names and weights stay the
    same. Call this function before `set_output_stride`.
    """
    for name, layer in list(layers.named_modules()):
        if isinstance(layer, nn.Conv2d) and layer.stride[0] > 1:
            parent, _, child = name.rpartition(".")
            setattr(layers.get_submodule(parent), child, SamePadded(layer))


def set_output_stride(layers: nn.Module, output_stride: int) -> None:
    """Limit the stride of the feature grid to `output_stride` by dilation, in place.

    In every layer that would make the total stride larger, the stride becomes 1, and the kernels
    from there on are dilated by the strides that were removed. So each kernel still sees the
    neighbours that it was trained on (Yu et al. 2017, Dilated Residual Networks). A pooling layer
    there still reaches one such neighbour to each side.
    """
    stride, rate = 1, 1
    for name, layer in layers.named_modules():
        if not isinstance(layer, WINDOWS):
            continue
        before = rate
        step = first_of(layer.stride)
        # A residual block's "downsample" runs beside the layer whose stride was just counted.
        if not name.endswith("downsample.0"):
            if stride * step <= output_stride:
                stride *= step
            else:
                rate *= step
        if rate > 1:
            _dilate(layer, before)


def _dilate(layer: nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d, rate: int) -> None:
    """Set one layer to a grid that is `rate` times finer than the one it was trained on."""
    if isinstance(layer, SamePadded):
        before = rate * first_of(layer.padding)
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

    A grey image has equal red, green and blue channels, so the weights are summed over the three.

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
    """The distance from the centre of a cell to the centre of its receptive field, in pixels.

    The distance is the same to the right and downwards. A feature in column j of a grid of stride J
    stands for the cell [J j, J (j + 1)). Symmetric padding of strided kernels moves the centre of
    its receptive field, in a ResNet by half a cell to the left. With kernel k, dilation d, padding
    p and the stride J' of the layers before, each layer adds J' (d (k - 1) / 2 - p) (Araujo et al.
    2019, Computing Receptive Fields). Training does not correct this shift, since global pooling
    ignores positions.

    >>> cell_shift_pixels(nn.Conv2d(1, 1, kernel_size=3, stride=2, padding=1))  # pixel 0, not 0.5
    -0.5
    >>> cell_shift_pixels(nn.MaxPool2d(2))
    0.0
    """
    centre, stride = receptive_field(layers)
    return centre - stride / 2


def receptive_field(layers: nn.Module, last: str = "") -> tuple[float, int]:
    """Centre of the receptive field of the first feature, in pixels, and the stride of the grid.

    The layers are taken as a chain in the order of their names. The layers of shortcuts, which run
    beside others, are left out.

    Args:
        layers: the network.
        last: name of the layer that gives the features; empty: all layers are taken.

    >>> receptive_field(nn.Conv2d(1, 1, kernel_size=3, stride=2, padding=1))
    (0.5, 2)
    """
    centre, stride, found = 0.5, 1, False
    for name, layer in layers.named_modules():
        inside = bool(last) and f"{name}.".startswith(f"{last}.")
        if found and not inside:
            break
        found = found or inside
        if not isinstance(layer, WINDOWS) or any(part in SHORTCUTS for part in name.split(".")):
            continue
        kernel, step, padding = map(first_of, (layer.kernel_size, layer.stride, layer.padding))
        dilation = 1 if isinstance(layer, nn.AvgPool2d) else first_of(layer.dilation)
        if type(layer).__name__ in PADDED_WHEN_RUN:
            padding = max(0, kernel - step) // 2
        centre += stride * (dilation * (kernel - 1) / 2 - padding)
        stride *= step
    return centre, stride


def first_of(value: Any) -> int:
    """The value for rows, which is also the value for columns in all layers used here."""
    return value if isinstance(value, int) else value[0]
