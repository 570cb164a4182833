"""What the VLM is asked for: in training, and so wherever it should answer as trained; needs no torch.

No prompt names a value, and all are short, since every token costs time.
"""

PROMPT = "Describe the infrared."  # a caption of the infrared in prose
JOINT_PROMPT = "Describe both images."  # a caption of the pair in prose
FACTS_PROMPT = "State the facts of the infrared."  # one sentence of measured facts, no more
QUESTIONS = {  # one fact; its value is the answer, no more
    "level": "How bright is the infrared?",
    "contrast": "How much contrast has the infrared?",
    "brightest": "Which part of the infrared is brightest?",
    "darkest": "Which part of the infrared is darkest?",
    "relation": "How does the infrared compare with the visible image?",
}
