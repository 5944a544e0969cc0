"""What files say about their pictures (EXIF, XMP, tags, chunks), read and made true for results."""
