"""Networks rewritten for inference: the same function in less time, in floats and in 8 bits."""
