"""The weight-free translator: infrared-style images by a formula of the colours."""
