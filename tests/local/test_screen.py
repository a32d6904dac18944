"""What a person sees of the story: figures that held, figures that did not, and one verdict."""

import io

import pytest

from local.screen import Screen, Style


class Terminal(io.TextIOWrapper):
    """A terminal of a given encoding that remembers what was printed on it."""

    def __init__(self, encoding: str = "utf-8", *, is_terminal: bool = True) -> None:
        super().__init__(io.BytesIO(), encoding=encoding)
        self._is_terminal = is_terminal

    def isatty(self) -> bool:
        return self._is_terminal

    def shown(self) -> str:
        self.flush()
        self.seek(0)
        return self.read()


@pytest.fixture
def paper() -> Terminal:
    return Terminal(is_terminal=False)


def told(screen: Screen, *checks: tuple[str, object, object]) -> None:
    screen.begin("The app goes to the iPads", "One request.")
    for check in checks:
        screen.check(*check)
    screen.end()


def test_a_story_in_which_everything_held_says_so_with_its_figures(paper: Terminal) -> None:
    screen = Screen(paper)
    told(screen, ("iPads that have the app", 40, 40), ("licences to give", (50, 10), (50, 10)))
    assert screen.verdict(steps=1)
    shown = paper.shown()
    assert "✓ iPads that have the app" in shown
    assert "50 → 10" in shown
    assert "Everything held: 2 checks in 0.0 s." in shown


def test_a_check_that_did_not_hold_is_told_with_what_was_found(paper: Terminal) -> None:
    screen = Screen(paper)
    told(screen, ("iPads that have the app", 38, 40), ("licences to give", 10, 10))
    assert not screen.verdict(steps=2)
    shown = paper.shown()
    assert "✗ iPads that have the app" in shown
    assert "the story ended in step 1 of 2." in shown
    assert shown.splitlines()[-1] == "  iPads that have the app: found 38, expected 40"


def test_a_story_that_stops_half_way_does_not_hold_though_every_check_did(paper: Terminal) -> None:
    screen = Screen(paper)
    told(screen, ("licences", 50, 50))
    assert not screen.verdict(steps=2)


def test_a_step_that_broke_off_is_told_with_the_error(paper: Terminal) -> None:
    screen = Screen(paper)
    screen.begin("The app goes to the iPads", "One request.")
    assert not screen.verdict(steps=1, broken_by=ValueError("the door answered 500"))
    assert "BROKEN" in paper.shown()
    assert "  ValueError: the door answered 500" in paper.shown()


def test_an_error_that_only_follows_from_a_failed_check_is_not_told(paper: Terminal) -> None:
    screen = Screen(paper)
    screen.begin("The school's purchases appear", "Its content token is installed.")
    screen.check("assets", [], ["vpp_app"])
    assert not screen.verdict(steps=1, broken_by=KeyError("vpp_app"))
    assert paper.shown().splitlines()[-1] == "  assets: found none, expected vpp_app"


def test_a_terminal_gets_colors_and_a_file_none(paper: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal()
    for stream in (terminal, paper):
        told(Screen(stream), ("licences", 50, 50))
    assert "\033[32m✓\033[0m licences" in terminal.shown()
    assert "\033[" not in paper.shown()


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1", "TERM": "xterm"}, {"TERM": "dumb"}])
def test_who_wants_no_colors_gets_none(environment: dict[str, str]) -> None:
    assert not Style.of(Terminal(), environment).colors


def test_where_the_encoding_has_no_marks_there_are_words() -> None:
    style = Style.of(Terminal("ascii"), {})
    assert (style.held, style.broken, style.show((1, 2))) == ("ok", "NO", "1 -> 2")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (True, "yes"),
        (False, "no"),
        ([1, 2, 3], "1, 2, 3"),
        ([], "none"),
        ("kind_not_for_device",) * 2,
        (7, "7"),
    ],
)
def test_values_are_shown_as_a_person_writes_them(value: object, shown: str) -> None:
    assert Style().show(value) == shown
