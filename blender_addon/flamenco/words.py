"""Numbers as people read them."""

_UNITS = ("bytes", "kB", "MB", "GB", "TB")


def bytes_in_words(size_bytes: float) -> str:
    """Write a size with two or three digits that matter: ``412 MB``, ``1.3 GB``."""
    power = 0
    while size_bytes >= 999.5 and power < len(_UNITS) - 1:
        size_bytes /= 1000
        power += 1
    return f"{size_bytes:.1f} {_UNITS[power]}" if power and size_bytes < 9.95 else f"{size_bytes:.0f} {_UNITS[power]}"


def seconds_in_words(seconds: float) -> str:
    """Write a duration with its largest unit, the next one too where it matters: ``16 s``, ``2 min``, ``1 h 5 min``."""
    whole = max(1, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{round(whole / 60)} min"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def count(number: int, noun: str) -> str:
    """Write a number of things: ``1 frame``, ``24 frames``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
