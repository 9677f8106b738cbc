"""What a Manager is told of the farm's settings."""

from flamenco_core.wire.farm_settings import FarmSettings, FarmSettingsSchema, change_between, changed_from_default
from flamenco_core.wire.variables import Variable, VariableValue


def test_settings_that_nobody_changed_are_not_told() -> None:
    assert changed_from_default(FarmSettings()) == {}
    assert changed_from_default(FarmSettings(policy="balanced", worker_timeout_s=60)) == {"policy": "balanced"}


def test_what_is_told_is_json_that_can_be_read_again() -> None:
    variables = {"storage": Variable([VariableValue("/mnt", platform="linux")], is_twoway=True)}
    settings = FarmSettings(variables=variables, limits={"renderman": 2}, retry_pauses_s=[1.0])
    assert FarmSettingsSchema().load(changed_from_default(settings)) == settings


def test_a_setting_that_is_at_its_default_again_is_told_once_more() -> None:
    before = FarmSettings(policy="balanced", limits={"renderman": 2}, failed_attempts=5)
    after = FarmSettings(failed_attempts=6, block_after=9)
    assert change_between(before, after) == {"policy": "fifo", "limits": {}, "failed_attempts": 6, "block_after": 9}
