import pytest
from click.testing import CliRunner

from enhance_cli.cli.main import main


@pytest.fixture
def enhance():
    """Run `enhance` with arguments, in this process."""

    def run(*arguments):
        return CliRunner().invoke(main, [str(argument) for argument in arguments])

    return run


@pytest.fixture
def fails(enhance):
    """Run `enhance` and return the one line it fails with."""

    def run(*arguments):
        result = enhance(*arguments)
        assert result.exit_code == 1, result.output
        lines = [line for line in result.stderr.splitlines() if line.startswith("enhance: ")]
        assert len(lines) == 1, result.stderr
        return lines[0].removeprefix("enhance: ")

    return run
