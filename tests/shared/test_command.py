import pytest

from shared.command import Replay, run_command
from shared.errors import SettingsError
from shared.lifecycle import Role


class Service:
    """Notes which verb was asked for; fails with what it is given."""

    def __init__(self, *, fails: Exception | None = None, code: int = 0) -> None:
        self.asked: list[str] = []
        self.fails = fails
        self.code = code

    async def serve(self, role: Role) -> int:
        self._note(f"serve {role}")
        return self.code

    async def migrate(self) -> None:
        self._note("migrate")

    async def replay(self, what: Replay) -> None:
        self._note(f"replay {what}")

    def run(self, *arguments: str) -> int:
        return run_command(
            "licensing", serve=self.serve, migrate=self.migrate, replay=self.replay, arguments=arguments
        )

    def _note(self, verb: str) -> None:
        self.asked.append(verb)
        if self.fails is not None:
            raise self.fails


@pytest.mark.parametrize(
    ("arguments", "asked"),
    [
        (["serve"], "serve all"),
        (["serve", "--role", "api"], "serve api"),
        (["serve", "--role", "worker"], "serve worker"),
        (["migrate"], "migrate"),
        (["replay", "--open"], "replay open"),
        (["replay", "--parked"], "replay parked"),
        (["replay", "--restored"], "replay restored"),
    ],
)
def test_each_verb_reaches_the_service(arguments: list[str], asked: str) -> None:
    service = Service()
    assert service.run(*arguments) == 0
    assert service.asked == [asked]


def test_the_exit_code_of_serve_is_that_of_the_process() -> None:
    assert Service(code=1).run("serve") == 1


@pytest.mark.parametrize("arguments", [["migrate"], ["serve"], ["replay", "--open"]])
def test_a_missing_setting_refuses_the_start_with_its_name(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert Service(fails=SettingsError("AUDIENCE is missing")).run(*arguments) == 2
    assert capsys.readouterr().err == "AUDIENCE is missing\n"


def test_a_verb_that_fails_is_exit_code_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert Service(fails=ValueError("lost")).run("migrate") == 1
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "arguments", [[], ["dance"], ["replay"], ["replay", "--open", "--parked"], ["serve", "--role", "x"]]
)
def test_an_unknown_call_is_refused_with_the_usage(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        Service().run(*arguments)
    assert caught.value.code == 2
    assert "usage: licensing" in capsys.readouterr().err
