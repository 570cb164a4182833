"""Keys of images and captions -> groups -> splits: pure numbers."""
