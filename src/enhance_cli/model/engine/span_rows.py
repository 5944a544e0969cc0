"""Computing a SPAN in bands of rows."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from enhance_cli.model.engine.row_layer import RowLayer, Waiting


class AttentionRows:
    """An attention block that gets the rows of its input in bands."""

    def __init__(self, block: Any) -> None:
        self.block = block
        self.layers = [RowLayer(layer) for layer in (block.first, block.second, block.third)]
        self.waiting = Waiting()  # rows of the input whose result is not computed yet

    def __call__(self, x: Tensor | None, *, is_last: bool) -> tuple[Tensor | None, Tensor | None]:
        """Return the complete rows of the result, and those of the first convolution."""
        self.waiting.add(x)
        first, second, third = self.layers
        inner = first(x, is_last=is_last)
        found = third(second(inner, is_last=is_last), is_last=is_last)
        if found is not None:
            found = self.block.weight(found, self.waiting.take(found.shape[2]))
        return found, inner


class SpanRows:
    """All of a SPAN but the pixel shuffle, on rows that come in bands, (1, C, h, W) in [0, 1]."""

    def __init__(self, module: Any) -> None:
        self.module = module
        self.first, self.after, self.last = map(RowLayer, (module.first, module.after, module.last))
        self.body = [AttentionRows(block) for block in module.body]
        self.joined = [Waiting() for _ in range(4)]

    def __call__(self, x: Tensor | None, *, is_last: bool) -> Tensor | None:
        """Return the rows that are complete after more of the input, or None."""
        if x is None:
            return None
        shallow = self.first(self.module.centre(x), is_last=is_last)
        results, deep, inner = [], shallow, shallow
        for block in self.body:
            deep, inner = block(deep, is_last=is_last)
            results.append(deep)
        parts = shallow, self.after(deep, is_last=is_last), results[0], inner
        for waiting, rows in zip(self.joined, parts, strict=True):
            waiting.add(rows)
        count = min(waiting.count for waiting in self.joined)
        if not count:
            return None
        joined = self.module.join(*(waiting.take(count) for waiting in self.joined))
        return self.last(joined, is_last=is_last)
