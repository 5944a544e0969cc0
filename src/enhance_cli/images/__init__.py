"""Images: files and tensors, resampling, colour."""
