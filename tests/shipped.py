"""The shipped networks, by what they are."""

from enhance_cli.model.shipped import shipped_models
from enhance_cli.model.weights import is_generator

OF_ENHANCE = [name for name, path in shipped_models().items() if is_generator(path)]
WITH_STRENGTH = [name for name in OF_ENHANCE if name != "e"]
