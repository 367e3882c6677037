"""Weights and activations in 8 bits, with ranges that are measured on radiographs."""

from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from jaxtyping import Float32

from cxrloc.exported.metadata import INPUT
from cxrloc.exported.onnx_file import EXTRA, set_metadata
from cxrloc.extras import import_extra


def to_int8(graph: Any, greys: Iterable[Float32[np.ndarray, "row col"]]) -> Any:
    """The graph with its convolutions in 8 bits: onnxruntime's static quantisation.

    Weights have a scale per channel, activations a scale per tensor. Their ranges are those of the
    images, so the images should be like those that the graph will see. A graph in 8 bits is a
    quarter of the size, and less accurate: measure the loss.

    Args:
        graph: as `onnx_graph` makes it.
        greys: grey levels of images, of the network's input size.

    Raises:
        CxrlocError: onnxruntime is missing.
    """
    import_extra("onnxruntime", EXTRA)
    import onnx
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    texts = {each.key: each.value for each in graph.metadata_props}
    with TemporaryDirectory() as folder:
        plain, folded, small = (Path(folder, f"{name}.onnx") for name in ("a", "b", "c"))
        onnx.save(graph, plain)
        # It folds batch normalisations into convolutions, whose weights are then in 8 bits.
        quant_pre_process(plain, folded, skip_symbolic_shape=True)
        quantization.quantize_static(
            folded,
            small,
            _reader(quantization.CalibrationDataReader, greys),
            op_types_to_quantize=["Conv"],
            per_channel=True,
            # Seven bits of weights: processors without VNNI add products of eight bits in 16 bits,
            # which overflow (onnxruntime, "Quantize ONNX models", on reduce_range).
            reduce_range=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            # The mean over the images of their extremes: a single image does not set the range.
            extra_options={"CalibMovingAverage": True},
        )
        quantised = onnx.load(small)
    set_metadata(quantised, texts)
    return quantised


def _reader(base: Any, greys: Iterable[Float32[np.ndarray, "row col"]]) -> Any:
    """The images as onnxruntime asks for them: one batch of one image after another."""
    images = iter(greys)

    class Reader(base):
        """Gives the images one by one."""

        def get_next(self) -> dict[str, np.ndarray] | None:
            """The next image, None after the last one."""
            grey = next(images, None)
            return None if grey is None else {INPUT: grey[None]}

    return Reader()
