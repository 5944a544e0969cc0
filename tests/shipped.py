"""The shipped networks, by what they are."""

from enhance_cli.model.shipped import WITHOUT_STRENGTH, shipped_models
from enhance_cli.model.weights import describe_shipped, is_generator

OF_ENHANCE = [name for name, path in shipped_models().items() if is_generator(path)]
IN_INT8 = [name for name in OF_ENHANCE if name != "pat"]  # its card says how far it is
SCORED = [name for name, found in describe_shipped().items() if found["scores"]]  # those of ×4
WITH_STRENGTH = [name for name in shipped_models() if name not in WITHOUT_STRENGTH]
