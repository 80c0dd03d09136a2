"""What `--help` says: it is the first documentation that people see."""

import pytest
from typer.testing import CliRunner

from taskrpc.cli import app
from taskrpc.settings import Settings


def help_of(command: str) -> str:
    result = CliRunner(env={"COLUMNS": "400"}).invoke(app, [command, "--help"])
    assert result.exit_code == 0
    return result.stdout


def line_of(option: str) -> str:
    return next(line for line in help_of("serve").splitlines() if f" {option} " in line)


@pytest.mark.parametrize("field", sorted(set(Settings.model_fields) - {"secret_key"}))
def test_every_setting_is_shown_with_its_environment_variable(field: str) -> None:
    assert f"[env var: TASKRPC_{field.upper()}]" in line_of("--" + field.replace("_", "-"))


def test_keys_for_secrets_are_no_flag_which_others_could_see() -> None:
    assert "--secret-key " not in help_of("serve")
    assert "TASKRPC_SECRET_KEY has the keys" in line_of("--secret-key-file")


@pytest.mark.parametrize(
    ("option", "default"), [("--port", "8080"), ("--data-dir", ".taskrpc"), ("--notify", "on"), ("--insecure", "off")]
)
def test_a_default_is_shown(option: str, default: str) -> None:
    assert f"[default: ({default})]" in line_of(option)


def test_a_choice_is_shown_with_all_that_can_be_chosen() -> None:
    assert "text|json" in line_of("--log-format")
    assert "debug|info|warning|error" in line_of("--log-level")


def test_the_usage_of_call_has_its_words_apart() -> None:
    assert "call [OPTIONS] [METHOD] [NAME=VALUE]..." in help_of("call")
