"""Images: files and arrays, resampling, colour."""
