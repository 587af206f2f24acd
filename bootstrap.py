#!/usr/bin/env python3
"""Install this project and run a command in it: `python3 bootstrap.py run chronos demo`.

Needs Python 3.11 or newer and nothing else. This file is read by whatever Python a machine has, 2.7 included, so that an old one can say
what is missing. The work is in `requirements/environment.py`.
"""

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))


def main():
    """Refuse an old Python in one sentence, else hand over."""
    if sys.version_info < (3, 11):
        sys.stderr.write(
            "bootstrap: Python 3.11 or newer is needed; this is %s. Call bootstrap.py with a newer one, for example "
            "`python3.12 bootstrap.py ...`.\n" % sys.version.split()[0]
        )
        return 1
    sys.dont_write_bytecode = True  # nothing of this is worth a folder in the checkout
    sys.path.insert(0, os.path.join(HERE, "requirements"))
    import environment

    return environment.main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
