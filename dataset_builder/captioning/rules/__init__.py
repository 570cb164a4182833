"""The open caption filter: rules on words, each with its reason."""
