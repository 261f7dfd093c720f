"""Writing of which nothing comes but the figures: what a dry run does in the place of sending."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dynamo_load.writing.batches import B, Delivery, Throttling

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class DryRun:
    """Takes batches as `BatchTransport` does, sends none, and says of each that it cost what was estimated."""

    throttling = Throttling()

    def send(
        self, batches: Iterator[B], on_done: Callable[[Delivery[B]], None], _meanwhile: Callable[[], None]
    ) -> None:
        """Call `on_done` for every batch, in their order."""
        for batch in batches:
            on_done(Delivery(batch, write_units=batch.write_units, requests=0))
