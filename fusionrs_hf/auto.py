"""Registers our classes with the Auto classes, here and (as remote code) in what `save_pretrained` writes."""

from transformers import AutoConfig, AutoModel, AutoProcessor

from fusionrs_hf.configuration_fusionrs_clip import FusionRSCLIPConfig
from fusionrs_hf.modeling_fusionrs_clip import FusionRSCLIPModel
from fusionrs_hf.processing_fusionrs_clip import FusionRSCLIPProcessor

AutoConfig.register(FusionRSCLIPConfig.model_type, FusionRSCLIPConfig)
AutoModel.register(FusionRSCLIPConfig, FusionRSCLIPModel)
AutoProcessor.register(FusionRSCLIPConfig, FusionRSCLIPProcessor)
FusionRSCLIPConfig.register_for_auto_class()
FusionRSCLIPModel.register_for_auto_class("AutoModel")
FusionRSCLIPProcessor.register_for_auto_class("AutoProcessor")
