from fusionrs_hf.last_resort import unforeseen


def test_a_report_holds_no_value_of_the_command_line(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    line, code = unforeseen(KeyError("x"), ["caption", "in", "out", "--option=api_key=secret", "--seed", "3"])
    (report,) = tmp_path.iterdir()
    text = report.read_text()
    assert code == 70 and str(report) in line and "\n" not in line
    assert "secret" not in text and "--option" in text and "KeyError: 'x'" in text
    assert report.stat().st_mode & 0o077 == 0


def test_neither_line_nor_report_holds_a_secret_of_the_message(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    line, _ = unforeseen(ValueError("api_key=hunter2hunter2 is odd"), ["caption"])
    (report,) = tmp_path.iterdir()
    assert "hunter2" not in line + report.read_text() and "[redacted] is odd" in line


def test_where_no_report_can_be_written_the_line_still_comes(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    line, code = unforeseen(ValueError("a\x1b\n" * 1000), [])
    assert code == 70 and "could not be written" in line and line.isprintable() and len(line) < 400
