"""Codes of findings in the form that highdicom takes."""

from highdicom.sr import CodedConcept

from cxrloc.finding_codes import PRIVATE_SCHEME, code_of


def coded_finding(finding: str) -> CodedConcept:
    """The preferred code of a finding (`finding_codes.code_of`)."""
    code = code_of(finding)
    return CodedConcept(code.value, code.scheme, code.meaning)


def private_code(value: str, meaning: str) -> CodedConcept:
    """A code of this package's own scheme; 99 marks private ones (PS3.16, section 8.2)."""
    return CodedConcept(value[:16], PRIVATE_SCHEME, meaning[:64])
