"""The farm's settings: one document, which all Managers follow."""

from typing import Protocol

from flamenco_core.wire.farm_settings import FarmSettings
from flamenco_server.asking import Asker
from flamenco_server.events import EventBus
from flamenco_server.tags import Told, tell


class SettingsStore(Protocol):
    """The farm's settings, on disk."""

    async def farm_settings(self) -> FarmSettings:
        """Return the farm's settings."""

    async def put_farm_settings(self, settings: FarmSettings, by: Asker) -> Told:
        """Keep them, and tell all Managers by an order, in one step."""


async def put_farm_settings(store: SettingsStore, bus: EventBus, settings: FarmSettings, by: Asker) -> None:
    """Change the farm's settings."""
    tell(bus, await store.put_farm_settings(settings, by))
