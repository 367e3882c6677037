"""From a tensor to logits and features: backbones, poolings, the localizer and its weights."""
