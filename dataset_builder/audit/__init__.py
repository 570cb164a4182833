"""Re-checks a built dataset by means that share no code with the build, and finds what datasets have in common."""
