"""Models as graphs that other tools run: written from a model, and run here by onnxruntime."""
