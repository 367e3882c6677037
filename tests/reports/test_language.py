"""Reports that are not in English get a warning, and English reports never get it."""

import csv
from pathlib import Path

import pytest

from cxrloc.reports.labels import label_reports
from cxrloc.reports.language import foreign_language
from cxrloc.reports.read import Report, UnreadableReport, read_reports


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Pas de pneumothorax. Épanchement pleural droit.", "French"),
        ("Kein Pneumothorax. Kleiner Pleuraerguss links.", "German"),
        ("No se observa neumotórax. Derrame pleural derecho.", "Spanish"),
        ("Non si osserva versamento pleurico.", "Italian"),
        ("Sem derrame pleural. Não há pneumotórax.", "Portuguese"),
        ("Geen pneumothorax. Klein pleuravocht rechts.", "Dutch"),
        ("Ingen pneumothorax. Ingen pleuravätska.", "Swedish, Danish or Norwegian"),
        ("Brak odmy opłucnowej. Bez zmian w płucach.", "Polish"),
        ("Pnömotoraks izlenmedi. Plevral efüzyon yok.", "Turkish"),
        ("Пневмоторакса нет.", "Cyrillic script"),
        ("双肺纹理增多。", "Chinese"),
        ("気胸なし。", "Japanese"),
        ("기흉 없음.", "Korean"),
    ],
)
def test_a_language_is_told_by_its_words_or_its_script(text: str, language: str) -> None:
    assert foreign_language(text) == language


def test_no_sentence_of_the_tests_is_taken_for_another_language() -> None:
    for name, column in (("sentences.csv", "sentence"), ("fresh_sentences.csv", "text")):
        with Path(__file__).with_name(name).open(newline="", encoding="utf-8") as file:
            texts = [row[column] for row in csv.DictReader(file)]
        assert [text for text in texts if foreign_language(text)] == []


def test_no_report_of_open_i_is_taken_for_another_language(shared: Path) -> None:
    reports = read_reports(shared / "data" / "openi" / "NLMCXR_reports.tgz")
    texts = [report.text for report in reports if isinstance(report, Report)]
    assert len(texts) > 3900
    assert [text for text in texts if foreign_language(text)] == []


def test_a_report_of_another_language_is_no_normal_report() -> None:
    reports = [Report("a", "Pas de pneumothorax."), Report("b", "No pneumothorax.")]
    first, second = label_reports(reports)
    assert isinstance(first, UnreadableReport)
    assert "not English (probably French)" in first.reason
    assert not isinstance(second, UnreadableReport)
