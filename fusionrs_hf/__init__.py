"""What a Hub user loads: the dual-modal CLIP, the two-image VLM, their processors, and `fusionrs <verb>`.

Importing this package imports no torch; `import fusionrs_hf.auto` registers the classes with the Auto classes.
"""

__version__ = "0.1.0"
