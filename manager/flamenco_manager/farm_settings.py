"""The farm's settings as the Server wants them: kept, and applied to the rules (jobs.md, "Who gets which task")."""

from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import Any, Protocol

import structlog
from marshmallow import ValidationError

from flamenco_core.errors import BadInput
from flamenco_core.wire.farm_settings import FarmSettings, FarmSettingsSchema
from flamenco_manager.farm import Farm
from flamenco_manager.model import Policy
from flamenco_manager.stores.farm_store import Also

log = structlog.get_logger()

_SCHEMA = FarmSettingsSchema()
_POLICY = {field.name for field in fields(Policy)}


class Store(Protocol):
    """Where the Server's settings are kept."""

    async def farm_settings(self) -> Mapping[str, Any]:
        """Return what the Server said last."""

    def keep_farm_settings(self, document: Mapping[str, Any]) -> Also:
        """Make the part of a transaction that keeps it."""


class FarmSettingsKeeper:
    """Follows the Server's settings; the Manager's own settings file stands below them."""

    def __init__(self, farm: Farm, store: Store, own: Policy, on_variables: Callable[[FarmSettings], None]) -> None:
        self._farm = farm
        self._store = store
        self._own = own
        self._on_variables = on_variables
        self._document: Mapping[str, Any] = {}

    async def restore(self) -> None:
        """Apply what was kept: the Server may be away."""
        self._document = await self._store.farm_settings()
        self._apply()

    def replace(self, document: Mapping[str, Any]) -> Also:
        """Follow the settings of a hello, which are all that differ from the defaults; returns what keeps them."""
        self._document = understood(document)
        self._apply()
        return self._store.keep_farm_settings(self._document)

    def change(self, document: Mapping[str, Any]) -> Also:
        """Follow the settings of an order, which are those that changed; returns what keeps them."""
        return self.replace({**self._document, **document})

    def _apply(self) -> None:
        said: FarmSettings = _SCHEMA.load(dict(self._document))
        chosen = {name: getattr(said, name) for name in self._document if name in _POLICY}
        self._farm.set_policy(replace(self._own, **chosen), is_balanced=said.policy == "balanced")
        self._farm.set_limits(said.limits, said.project_caps)
        try:
            self._on_variables(said)
        except BadInput as error:  # they do not go together with those of this site; the link must not suffer
            log.warning("farm setting not followed", name="variables", why=str(error))


def understood(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that can be followed; others are told in the log, and left out."""
    known = {}
    for name, value in document.items():
        try:
            if name not in _SCHEMA.fields:
                raise ValidationError("This Manager does not know it.")
            _SCHEMA.load({name: value})
        except ValidationError as error:
            log.warning("farm setting not followed", name=name, why=str(error.messages))
        else:
            known[name] = value
    return known
