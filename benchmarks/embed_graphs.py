"""Writes the graphs of the embedded models beside their weights, without the weights.

    python benchmarks/embed_graphs.py

`cxrloc heatmap --backend onnx` runs them; it takes the weights from the models' own files. Run this
again after a change of a model's file or of `cxrloc/exported/`.
"""

from cxrloc.exported.graph import initializer_name
from cxrloc.exported.onnx_file import onnx_graph, without_weights, write_onnx
from cxrloc.models.names import MODELS
from cxrloc.models.weights import DIRECTIONS, MEAN, read_model

for name, weights in MODELS.items():
    model = read_model(name)
    graph = onnx_graph(model)
    names = (MEAN, DIRECTIONS, *model.network.state_dict())
    tensors = {initializer_name(each) for each in names}
    without_weights(graph, tensors)
    path = weights.with_suffix(".onnx")
    write_onnx(graph, path)
    print(f"{path}: {path.stat().st_size / 1e3:.0f} kB")
