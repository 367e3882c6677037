"""Recognises reports that are not English, which the labeler cannot read."""

import re
import unicodedata
from collections import Counter
from functools import cache
from importlib.resources import files

ENGLISH = "English"
CHINESE = "Chinese"

_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?")
_READ = 3000  # characters of a report that tell its language
_SCRIPTS = {"CJK": CHINESE, "HIRAGANA": "Japanese", "KATAKANA": "Japanese", "HANGUL": "Korean"}


def foreign_language(text: str) -> str | None:
    """The language of a report that is not English, None for English or too few words to tell.

    The rules of the labeler are English, so a report in another language would have no finding at
    all and be called normal. Another script gives the language away. Otherwise, words typical of
    other languages are counted against words typical of English; a doubtful report is English.

    >>> foreign_language("Pas de pneumothorax. Épanchement pleural droit.")
    'French'
    >>> foreign_language("NO PTX. RLL consol."), foreign_language("右肺结节")
    (None, 'Chinese')
    """
    text = text[:_READ]
    if not text.isascii() and (script := _script(text)) is not None:
        return script
    words = _WORD.findall(text.lower())
    counts = Counter(language for word in words for language in _languages().get(word, ()))
    english = counts.pop(ENGLISH, 0)
    if not counts:
        return None
    language, count = counts.most_common(1)[0]
    # A single word of another language may be a name or a misspelling.
    return language if count > max(1, english) else None


@cache
def _languages() -> dict[str, tuple[str, ...]]:
    """The languages of each word of `rules/languages.txt`."""
    found: dict[str, tuple[str, ...]] = {}
    language = ""
    text = (files("cxrloc.reports") / "rules" / "languages.txt").read_text("utf-8")
    for line in text.splitlines():
        if line.startswith("["):
            language = line.strip("[]")
        elif not line.startswith(";"):
            known = {word for word, languages in found.items() if language in languages}
            for word in set(line.split()) - known:
                found[word] = (*found.get(word, ()), language)
    return found


def _script(text: str) -> str | None:
    """The language or the script of a text most of whose letters are not Latin."""
    letters = [character for character in text if character.isalpha()]
    scripts = Counter(unicodedata.name(c, "unknown").split()[0] for c in letters if not c.isascii())
    scripts.pop("LATIN", None)
    scripts.pop("MICRO", None)
    if scripts.total() <= len(letters) / 2:
        return None
    # Japanese and Korean also use Chinese characters, so their own scripts are looked for first.
    kind = next((s for s in ("HIRAGANA", "KATAKANA", "HANGUL") if s in scripts), None)
    kind = kind or scripts.most_common(1)[0][0]
    return _SCRIPTS.get(kind, f"{kind.capitalize()} script")
