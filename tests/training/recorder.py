"""A stand-in for CUDA graphs on a CPU: the same operations on the same memory, again and again."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from bie.training.draws import Drawing, step_by_step
from bie.training.graph import Recorder, Replays

FORBIDDEN = {
    torch.Tag.data_dependent_output,
    torch.Tag.dynamic_output_shape,
    torch.Tag.nondeterministic_seeded,
}
"""Looks at a number, makes a shape of one, draws: what no graph can repeat, or what would not be new."""

INDEX = torch.ops.aten.index.Tensor


class Blind(TorchFunctionMode):
    """One-hot codes without a look at the largest, which torch takes on a CPU and not on a GPU."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.nn.functional.one_hot:
            codes, n = args
            return codes.unsqueeze(-1).eq(torch.arange(n)).long()
        return func(*args, **(kwargs or {}))


class Watched(TorchDispatchMode):
    """Takes down each operation, with the tensors that it reads and those that it writes."""

    def __init__(self) -> None:
        super().__init__()
        self.done: list[Callable[[], object]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if FORBIDDEN & set(func.tags) and not (func is INDEX and _are_places(args[1])):
            raise RuntimeError(f"{func} cannot be recorded")
        result = func(*args, **kwargs)
        aliases = [returned.alias_info for returned in func._schema.returns]
        if any(alias is not None and alias.is_write for alias in aliases):
            self.done.append(lambda: func(*args, **kwargs))
        elif not any(aliases):  # a view is one of what is there in any case
            self.done.append(lambda: self._again(func, args, kwargs, result))
        return result

    @staticmethod
    def _again(func: Any, args: Any, kwargs: Any, result: Any) -> None:
        for old, new in zip(tree_leaves(result), tree_leaves(func(*args, **kwargs)), strict=True):
            if isinstance(old, Tensor):
                old.copy_(new)


class Operations:
    """Records on a CPU. Like a capture, it takes steps of its own while it records."""

    def __init__(self) -> None:
        self.n_recorded = self.n_replayed = 0

    def record(self, work: Callable[[], Tensor]) -> Callable[[], Tensor]:
        self.n_recorded += 1
        work()
        with Blind(), Watched() as watched:
            result = work()

        def again() -> Tensor:
            self.n_replayed += 1
            with torch.no_grad():  # gradients are among the operations
                for repeat in watched.done:
                    repeat()
            return result

        return again


def _are_places(indices: list[Tensor | None]) -> bool:
    """Whether none of them is a mask, whose count would be the shape."""
    return all(index is None or index.dtype == torch.int64 for index in indices)


def recorded(recorder: Recorder, drawing: Drawing = step_by_step) -> Callable[[str], Replays]:
    """For `bie.training.engine.engines`."""
    return lambda device: Replays(lambda: recorder, drawing)
