"""Registers our classes with the Auto classes, here and (as remote code) in what `save_pretrained` writes."""

from transformers import AutoConfig, AutoModel, AutoModelForImageTextToText, AutoProcessor

from fusionrs_hf.configuration_fusionrs_clip import FusionRSCLIPConfig
from fusionrs_hf.configuration_fusionrs_vlm import FusionRSVLMConfig
from fusionrs_hf.modeling_fusionrs_clip import FusionRSCLIPModel
from fusionrs_hf.modeling_fusionrs_vlm import FusionRSVLMForConditionalGeneration
from fusionrs_hf.processing_fusionrs_clip import FusionRSCLIPProcessor
from fusionrs_hf.processing_fusionrs_vlm import FusionRSVLMProcessor

for config, auto_model, model, processor in (
    (FusionRSCLIPConfig, AutoModel, FusionRSCLIPModel, FusionRSCLIPProcessor),
    (FusionRSVLMConfig, AutoModelForImageTextToText, FusionRSVLMForConditionalGeneration, FusionRSVLMProcessor),
):
    AutoConfig.register(config.model_type, config)
    auto_model.register(config, model)
    AutoProcessor.register(config, processor)
    config.register_for_auto_class()
    model.register_for_auto_class(auto_model.__name__)
    processor.register_for_auto_class("AutoProcessor")
