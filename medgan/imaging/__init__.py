"""Images in and out: pixels, geometry, intensity scale, readers and writers."""
