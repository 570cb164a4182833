"""Attacks on what `SECURITY.md` promises: each kind in a file, every verb it concerns, on this machine alone.

python -m tests.attacks                      all; a table kind x verb, exit code 1 if any failed
python -m tests.attacks --kind A C --verb caption
"""
