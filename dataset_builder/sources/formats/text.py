"""Bytes of a text file -> text: marks that tell the encoding and the last line end are no part of what it says."""

import codecs

MARKS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
LINE_ENDS = "\r\n"


def plain_text(content: bytes) -> str:
    """Returns what a file that holds one text says, in UTF-8 or, by its byte order mark, UTF-16.

    Line ends at its end are left out, all else stays. Bytes that are none of the encoding come as `surrogateescape`
    decodes them.
    """
    for mark, encoding in MARKS.items():
        if content.startswith(mark):
            errors = "surrogateescape" if encoding == "utf-8" else "surrogatepass"
            try:
                return content[len(mark) :].decode(encoding, errors).rstrip(LINE_ENDS)
            except UnicodeDecodeError:  # an odd number of bytes
                break
    return content.decode("utf-8", "surrogateescape").rstrip(LINE_ENDS)
