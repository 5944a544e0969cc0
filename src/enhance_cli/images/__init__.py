"""Reading and writing image files, resampling, and colour."""
