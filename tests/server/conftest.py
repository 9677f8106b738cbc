"""Fixtures of the Server's tests."""

import pytest

pytest.register_assert_rewrite("contracts", "server_world")
