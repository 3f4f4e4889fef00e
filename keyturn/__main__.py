"""`python -m keyturn`: the command line, also where no script is installed."""

import sys

from keyturn.command import main

if __name__ == "__main__":
    sys.exit(main())
