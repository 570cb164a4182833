"""Loads the learned translator: the one that ships, or a folder or Hub id of one, by the classes installed here."""

from pathlib import Path

from fusionrs_hf.errors import InputError
from fusionrs_hf.modeling_fusionrs_translator import FusionRSTranslator
from fusionrs_hf.pipeline_fusionrs_translator import RGB2IRPipeline
from fusionrs_hf.weights import check_folder, check_model, check_source, loading

SHIPPED = Path(__file__).parent / "translator_weights"


def load_pipeline(name: str | Path | None = None, revision: str | None = None) -> RGB2IRPipeline:
    """Returns a translator ready to be asked; no code from its folder or repository is run.

    Args:
        name: Folder that `fusionrs train translator` wrote, or Hub id; None: the one that ships.
        revision: Of a Hub id.

    Raises:
        InputError: There is no such folder or repository, it holds no translator, or its weights hold NaN.
    """
    if name is None and not SHIPPED.is_dir():
        raise InputError(
            "no translator ships with this version; give a folder that `fusionrs train translator --config "
            "training/recipes/translator_sample.yaml` wrote, or a Hub id, as the model"
        )
    name = SHIPPED if name is None else name
    check_source(name)
    if Path(name).exists() and not (Path(name) / "translator").is_dir():
        raise InputError(f"{name} holds no translator; give a folder that `fusionrs train translator` wrote")
    if (Path(name) / "translator").is_dir():
        check_folder(Path(name) / "translator")
    with loading(name, "a translator", "get it again"):
        model = FusionRSTranslator.from_pretrained(name, subfolder="translator", revision=revision)
    check_model(model, name)
    return RGB2IRPipeline(translator=model.eval())
