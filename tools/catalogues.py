"""Print the texts that have no Chinese yet, as entries to paste into a catalogue.

Usage: python tools/catalogues.py [dougong | <plugin id>]
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "architecture"))
import test_catalogues as check


def main() -> int:
    wanted = sys.argv[1:] or list(check.DISTRIBUTIONS)
    kernel = check.catalogue(check.DISTRIBUTIONS["dougong"][1])
    for name in wanted:
        folder, locale = check.DISTRIBUTIONS[name]
        known = {**kernel, **check.catalogue(locale)}
        missing = sorted(m for m in check.messages(folder) if not known.get(m))
        print(f"# {name}: {len(missing)} missing")
        for message in missing:
            quoted = message.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
            print(f'msgid "{quoted}"\nmsgstr ""\n')
    return 0


if __name__ == "__main__":
    sys.exit(main())
