"""What the VLM is asked for: in training, and so wherever it should answer as trained; needs no torch."""

PROMPT = "Describe the infrared."  # names no fact; short, since every token costs time
