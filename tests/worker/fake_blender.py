"""A program that answers as Blender does and then does what a test wants: ``flavour`` chooses, it is no Blender."""

import sys
from pathlib import Path

SCRIPT = """#!{python}
import os, shutil, signal, sys, time
if "--version" in sys.argv:
    print("Blender 9.9.9")
    sys.exit(0)
pattern = sys.argv[sys.argv.index("--render-output") + 1]
image = {image!r}
def save(frame):
    path = pattern.replace("######", "%06d" % frame) + ".png"
    os.makedirs(os.path.dirname(path), exist_ok=True)
    shutil.copy(image, path)
    return path
def saved(path):
    print("Saved: '" + path + "'", flush=True)
{flavour}
"""

SAVES_NOTHING = "print('Blender quit')"
IGNORES_TERM = """
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("pid", os.getpid(), flush=True)
time.sleep(600)
"""
PRINTS_A_VERY_LONG_LINE = """
print("Fra:1 " + "x" * 3_000_000)
saved(save(1))
"""
TRUNCATES_FRAME_2 = """
saved(save(1))
path = save(2)
with open(path, "r+b") as file:
    file.truncate(os.path.getsize(path) // 2)
saved(path)
saved(save(3))
"""
SAYS_WHAT_IS_NOT_SO = "saved(pattern.replace('######', '000001.png'))"
CRASHES_AFTER_THE_LAST_FRAME = """
saved(save(1))
os.kill(os.getpid(), signal.SIGSEGV)
"""
SAVES_ELSEWHERE_TOO = """
saved(image)
saved(save(1))
"""
WAITS_IN_FRAME_2 = """
saved(save(1))
save(2)
print("pid", os.getpid(), flush=True)
time.sleep(600)
"""


def a_fake_blender(path: Path, flavour: str, image: Path) -> str:
    """Write the program; the frames that it saves are copies of ``image``."""
    path.write_text(SCRIPT.format(python=sys.executable, flavour=flavour, image=str(image)))
    path.chmod(0o755)
    return str(path)
