"""How paths, times and modes are shown on a terminal."""

import datetime
import stat

KIND_BITS = {
    1: stat.S_IFREG,
    2: stat.S_IFDIR,
    3: stat.S_IFLNK,
    4: stat.S_IFIFO,
    5: stat.S_IFSOCK,
    6: stat.S_IFCHR,
    7: stat.S_IFBLK,
}


def show(raw):
    """Bytes (or text) on one line: control characters and bytes that are not UTF-8 are escaped."""
    text = raw if isinstance(raw, str) else raw.decode("utf-8", "surrogateescape")
    shown = []
    for character in text:
        code = ord(character)
        if 0xDC80 <= code <= 0xDCFF:
            shown.append(f"\\x{code - 0xDC00:02x}")
        elif character == "\\":
            shown.append("\\\\")
        elif character.isprintable():
            shown.append(character)
        elif code <= 0xFF:
            shown.append(f"\\x{code:02x}")
        else:
            shown.append(f"\\u{{{code:x}}}")
    return "".join(shown)


def show_time(seconds):
    """Seconds since 1970 as UTC, or as a bare number where no calendar reaches."""
    try:
        moment = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    except (OverflowError, ValueError, OSError):
        return f"@{seconds}"
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def show_mode(kind, mode):
    """As `ls -l` shows it."""
    return stat.filemode(KIND_BITS[kind] | mode)
