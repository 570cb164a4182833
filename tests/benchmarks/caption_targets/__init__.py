"""Ten real pairs, what an expert would write of them, what the default captioner writes, and the facts behind it."""
