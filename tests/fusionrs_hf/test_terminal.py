import io
import logging

from fusionrs_hf.terminal import MOVES, HarmlessFormatter, ProgressStream, ResultStream, harmless, print_outcome

HOSTILE = "a\x1b]0;title\x07b\x9b2J\u202ec\rd"


def written(kind: type, text: str) -> str:
    under = io.BytesIO()
    stream = kind(under, "utf-8", "backslashreplace")
    assert stream.write(text) == len(text)
    stream.flush()
    return under.getvalue().decode()


def test_what_a_terminal_would_obey_is_escaped_and_lines_and_tabs_stay():
    assert harmless(HOSTILE) == "a\\x1b]0;title\\x07b\\x9b2J\\u202ec\\rd"
    assert harmless("a\tb\nc\n") == "a\tb\nc\n"
    assert harmless("ü 你") == "ü 你"


def test_progress_bars_may_go_back_and_up_and_nothing_else():
    assert harmless("\r50 %\x1b[A\x1b[2J", MOVES) == "\r50 %\x1b[A\\x1b[2J"


def test_results_and_messages_are_written_harmless_and_lone_surrogates_stop_nothing():
    assert written(ResultStream, "a\x1b[1m\ud800\n") == "a\\x1b[1m\\ud800\n"
    assert written(ProgressStream, "\ra\x1b[1m") == "\ra\\x1b[1m"


def test_log_lines_are_harmless():
    record = logging.LogRecord("x", logging.INFO, "x", 1, "%s is a link", ("a\x1b[2J\u202e",), None)
    assert HarmlessFormatter("%(message)s").format(record) == "a\\x1b[2J\\u202e is a link"


def test_log_lines_and_last_lines_hold_no_secret(capsys):
    record = logging.LogRecord("x", logging.INFO, "x", 1, "asked with password=%s", ("hunter2hunter2",), None)
    assert HarmlessFormatter("%(message)s").format(record) == "asked with password=[redacted]"
    print_outcome("error: api_key=hunter2hunter2 \x1b[2J is refused")
    assert capsys.readouterr().err == "error: api_key=[redacted] \\x1b[2J is refused\n"
