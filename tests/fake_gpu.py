"""Stands for what a GPU of CUDA has and this machine has not: streams and pinned memory."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor

from cxrloc import devices


class FakeStream:
    """A stream that remembers what waited for it and what was done in it."""

    def __init__(self, device: torch.device | None = None) -> None:
        self.waits_for: list[FakeStream] = []
        self.pinned: list[torch.Size] = []
        self.reads: list[torch.Size] = []

    def wait_stream(self, other: "FakeStream") -> None:
        self.waits_for.append(other)


class FakeStreams:
    """The streams of a GPU.

    Attributes:
        computing: the stream in which the network runs.
        now: the stream in which the caller works.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.computing = self.now = FakeStream()
        devices._copying.cache_clear()
        monkeypatch.setattr(torch.cuda, "Stream", FakeStream)
        monkeypatch.setattr(torch.cuda, "stream", self.within)
        monkeypatch.setattr(torch.cuda, "current_stream", lambda device: self.now)
        monkeypatch.setattr(Tensor, "pin_memory", lambda tensor: self.pinned(tensor))
        monkeypatch.setattr(Tensor, "record_stream", lambda t, s: s.reads.append(t.shape))

    @contextmanager
    def within(self, stream: FakeStream) -> Iterator[None]:
        self.now, before = stream, self.now
        yield
        self.now = before

    def pinned(self, tensor: Tensor) -> Tensor:
        self.now.pinned.append(tensor.shape)
        return tensor
