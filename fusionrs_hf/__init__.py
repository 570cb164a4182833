"""What a Hub user loads: the dual-modal CLIP, the two-image VLM, their processors, and `fusionrs <verb>`.

Importing this package imports no torch: the names below are imported from their modules when they are first asked for.
With the first of a model, configuration or processor, all of them are registered with the Auto classes, as
`import fusionrs_hf.auto` does.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fusionrs_hf.configuration_fusionrs_clip import FusionRSCLIPConfig
    from fusionrs_hf.configuration_fusionrs_vlm import FusionRSVLMConfig
    from fusionrs_hf.encoders import Encoder, load_clip
    from fusionrs_hf.modeling_fusionrs_clip import FusionRSCLIPModel
    from fusionrs_hf.modeling_fusionrs_vlm import FusionRSVLMForConditionalGeneration
    from fusionrs_hf.processing_fusionrs_clip import FusionRSCLIPProcessor
    from fusionrs_hf.processing_fusionrs_vlm import FusionRSVLMProcessor

__version__ = "0.1.0"
__all__ = [
    "Encoder",
    "FusionRSCLIPConfig",
    "FusionRSCLIPModel",
    "FusionRSCLIPProcessor",
    "FusionRSVLMConfig",
    "FusionRSVLMForConditionalGeneration",
    "FusionRSVLMProcessor",
    "load_clip",
]


def __getattr__(name: str) -> object:
    """Imports a public name from where it stands (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    owner = "encoders" if name in ("Encoder", "load_clip") else "auto"  # auto imports, and registers, every class
    return getattr(import_module(f"{__name__}.{owner}"), name)


def __dir__() -> list[str]:
    """Names that are asked for, with those that are there."""
    return sorted({*globals(), *__all__})
